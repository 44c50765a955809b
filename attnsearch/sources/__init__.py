"""Files → items and judged requests, each with its line.

values       plain values with their lines, and the limits that every reader enforces
letters      text → its normal form, in linear time, and words with their marks
yaml12       YAML text → values, by YAML 1.2, safe on hostile files
strict_json  JSON text → values, strict about what other programs could not handle
records      a file or standard input → records: YAML, JSON, JSONL, CSV, TSV
items        records → items: id, title, description, key text
trec         TREC's queries and qrels → graded queries
judgments    a file → judged requests: which items are right for each
"""
