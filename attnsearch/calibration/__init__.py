"""Judged catalogs that we ship → an encoder's temperature and null key, if they hold on held-out requests.

divergence  logits and the right items → KL
logistic    evidence, and which requests have no answer → the null key
shipped     the shipped catalogs and their judgments → what an encoder makes of them
fitting     cosines of judged catalogs → τ and null key, by leaving one catalog out
fit_file    what was fitted to an encoder ↔ a file beside the catalogs
calibrate   an encoder → its fit, made when it is missing
"""
