"""Results → pictures of characters, in the colors that the terminal has.

palette  strengths → colors
reasons  each logit as a sum, the words shaded by what they add to it
"""
