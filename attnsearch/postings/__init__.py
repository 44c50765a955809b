"""Which items have a value, or a term.

conditions  a tree of filters → conditions in SQL
wordings    conditions as others write them → as `--where` does, for hints
filters     `--where` text → a tree of filters
completion  the beginning of a filter → how it can go on
stored      the files of postings: what a segment's rows have, each named by its checksum
terms       texts → their terms, and the BM25 of each
vocabulary  items → their words, and how many items have each
facets      items → the values of their fields
values      the values of a field in several segments, as those of one
field       what a message says of the values of one
cache       terms and values, built with a segment or on first use, and stored beside the keys
union       those of several catalogs as those of one
"""
