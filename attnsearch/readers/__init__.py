"""A file of any form → records, each with its line.

values       plain values with their lines, and the limits that every reader enforces
text_file    a file or standard input → its text, line by line or at once
yaml12       YAML text → values, by YAML 1.2, safe on hostile files
strict_json  JSON text → values, strict about what other programs could not handle
delimited    the lines of CSV or TSV → records
shapes       a document of YAML or JSON → its records, wherever their list lies
records      a file or standard input → records, by its format
"""
