"""Which items have a value, or a term.

filters  `--where` text → conditions in SQL
terms    texts → their terms, and the BM25 of each
facets   items → the values of their fields
cache    terms and facets, built on first use and stored beside the keys
"""
