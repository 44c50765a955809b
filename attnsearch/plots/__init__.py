"""Results → SVG and PNG.

texts       clean texts, and how wide they are
figure      what all figures share: their look and their bytes
grid        a matrix of colored cells
heatmap     requests × items
matrix      a logit as a sum over pairs of words
map         items as points, with the request and the output among them
evaluation  how far confidence can be trusted, and how well each request is answered
training    what more judgments gain
"""
