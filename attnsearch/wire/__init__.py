"""What goes over the wire, as types: they check requests, and describe answers.

requests  what may be asked
results   what a query, an explanation and a heatmap answer
catalogs  what is said of catalogs, items, judgments and mistakes
mistakes  a request that is not of its type → what is wrong with it
"""
