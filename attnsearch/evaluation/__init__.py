"""Judged requests → how good the answers are.

metrics       ranks and weights → nDCG, MRR, recall, precision, KL, calibration
mass          the weights of all items → how far they are the shares of the right ones
report        judged requests and a catalog → a measure of each answer, and their means
significance  two settings compared, and how much of the difference may be chance
"""
