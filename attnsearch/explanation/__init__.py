"""Result → the steps of the formula, and why.

steps    a result → equation (1), step by step, with its real numbers
reasons  why each hit has its logit, and one more than another
"""
