"""Result → the steps of the formula, and why.

steps    a result → equation (1), step by step, with its real numbers
words    a logit as a sum over the words of a text
reasons  why each hit has its logit, and why one ranks above another
"""
