"""What goes over the wire, as types: they check requests, and describe answers.

requests  what may be asked
results   answers to a query, an explanation and a heatmap
catalogs  answers about catalogs, items, judgments and errors
mistakes  a request that does not fit its type → what is wrong with it
"""
