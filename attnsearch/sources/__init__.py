"""Records → items and judged requests, each with its line.

letters      text → its normal form, in linear time, and words with their marks
items        records → items: id, title, description, key text
trec         TREC's queries and qrels → graded queries
judgments    a file → judged requests: which items are right for each
"""
