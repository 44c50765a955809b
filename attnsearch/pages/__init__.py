"""Results → one HTML file with all that it needs.

shades      strengths → classes, and the stylesheet that colors them
page        a template and its data → the file
grid        matrices → tables of shaded cells
figures     figures → pictures that a page holds itself
ranking     results → the page of a query, and of why items have their logits
heatmap     a heatmap → its page
evaluation  an evaluation → its page
training    a training → its page
lesson      the lesson → its page
"""
