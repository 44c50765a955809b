"""Judged requests → how good the answers are.

metrics       ranks and weights → nDCG, MRR, recall, precision, KL, calibration error
report        judged requests and a catalog → their answers, measured
significance  two settings compared, and what chance explains of it
"""
