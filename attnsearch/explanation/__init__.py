"""Result → the steps of the formula, and why.

phrases    the words and the numbers that steps are made of
following  requests → the results that are explained, with the same items for all
steps      a result → equation (1), step by step, with its real numbers
several    the same for several requests, as matrices
words      word pieces → words; a logit as a sum over the words of a text
matrix     a logit as a double sum, over the words of the query and those of an item
reasons    why each hit has its logit, and why one ranks above another
seriation  a matrix → the order of its rows and columns
heatmap    several requests × items
cells      several requests → their heatmap
map        the items as points of a plane, with the request and the output among them
saved      the arrays of the formula → a file
"""
