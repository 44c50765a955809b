"""Results → text that is safe to show on any terminal.

safe_text    words and values → text and JSON that a terminal can't obey
columns      the fields of catalogs → columns of an answer
notes        result → the lines under its table
table        rows → a table that fits the window
ranking      results → the ranked table
formats      results → table, JSON, JSONL, CSV, TSV, Markdown
items        items → their text, fields and passages, JSON, JSONL, CSV
duplicates   groups of duplicates → a table, JSON, JSONL, CSV, TSV
evaluation   an evaluation → a table, JSON
training     a training → a table, JSON
heatmap      requests × items → JSON, CSV
catalogs     the catalogs on disk → what `list` and `info` say of them, JSON
"""
