"""Judged requests → W_Q, τ, λ and null key, if held-out ones gain.

bilinear          requests and their right items → the W_Q that sends attention there
examples          judged requests and a catalog → a training set
self_supervision  a catalog → requests made of its own titles and texts
cross_validation  how strongly to pull W_Q to the identity, and what it gains on held-out requests
memory            how far to follow judged requests that are remembered, and what that gains on held-out ones
calibration       held-out logits → the temperature, λ and the null key
words             whether words that a request shares with items gain on held-out requests
acceptance        held-out gains → accepted or not, and why
curve             what held-out requests gain by the number of requests that are learned from
training          judged requests and a catalog → what it learns, if that is better
"""
