"""Files → items and judged requests, each with its line.

values       what files hold: text, numbers, lists, mappings with their lines
yaml12       YAML text → values, by YAML 1.2, safe on hostile files
strict_json  JSON text → values, nothing let through that other rooms could not hold
records      a file or a pipe → records: YAML, JSON, JSONL, CSV, TSV
items        records → items: id, title, description, key text
judgments    a file → judged requests: which items are right for each
"""
