"""Equation (1) and its parts, in numpy and nothing else.

products     q kᵀ, each product summed in the same order, or faster and almost the same
projections  W_Q, W_K, W_V and the temperature, which W_Q contains
softmax      q, k, v → weights and output, all at once or block by block
memory       judged requests as keys, beside the items
null_key     the chance that nothing in the catalog answers a request
"""
