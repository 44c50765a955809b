"""Each command: its options, one call, its answer.

query       the ranked table
index       create a catalog, or bring it up to date
items       show, duplicates, export
catalogs    list, info
upkeep      use, check, remove
explain     why an item has its logit, and every step of the formula
heatmap     requests × items, the attention of each as a row
eval        how good the answers to judged requests are
train       learn from judged requests; reset
feedback    record which answers were right
guide       lesson, docs: attention step by step, and the documentation
serve       serve, mcp: the same road for a browser, a script, an agent
"""
