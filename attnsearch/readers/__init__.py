"""A file of any form → records, each with its line.

values       plain values with their lines, and the limits that every reader enforces
names        the names of fields that usually hold an id, a title or a text
text_file    a file or standard input → its text, line by line or at once
yaml12       YAML text → values, by YAML 1.2, safe on hostile files
strict_json  JSON text → values, strict about what other programs could not handle
json_file    a file of JSON or JSON Lines → its documents, or its lines one by one
delimited    the lines of CSV or TSV → records
tables       values → the tables in them, and a table → its records
shapes       the documents of a YAML or JSON file → its records, wherever their list lies
records      a file or standard input → records, by its format
"""
