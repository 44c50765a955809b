"""Results → pictures of characters, in the colors that the terminal has.

palette      strengths → colors, and those of Q, K and V
letters      Q, K and V in a text → their colors
reasons      each logit as a sum, the words shaded by what they add to it
walkthrough  the steps of the formula
matrix       a logit as a double sum, words of the query × words of the item
heatmap      requests × items, as cells in colors with figures
lesson       the lesson's slides
"""
