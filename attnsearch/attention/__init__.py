"""Equation (1) and its parts, in numpy and nothing else.

projections  W_Q, W_K, W_V and the temperature that W_Q holds
softmax      q, k, v → weights and output, at once or block by block
null_key     the chance that nothing in the catalog answers a request
"""
