"""A file of any form → records, each with its line.

raw_file       a file or standard input → its bytes, decompressed; and what a file is when it holds no text
text_file      the bytes of a file → its text, line by line or at once
json_file      a file of JSON or JSON Lines → its documents, or its lines one by one
dialect        the lines of CSV or TSV → rows of cells, and which character parts the cells
delimited      the rows of CSV or TSV → records
binary_tables  the rows of a workbook or of a Parquet file → records
sqlite         the rows of a table or query of SQLite → records
tables         values → the tables in them, and a table → its records
shapes         the documents of a YAML or JSON file → its records, wherever their list lies
records        a file or standard input → records, by its format
documents      a Markdown or text file → its record
folder         files and folders → the records of each file
"""
