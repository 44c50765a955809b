"""A catalog ↔ one file that has its items and their vectors.

form        what a file says of its catalog, and an item with its vectors, checked
contents    an open catalog → its header and its items with their vectors
sink        what a library writes to a file → pieces of bytes
json_lines  JSON Lines: a header, then an item a line
arrays      arrays of NumPy in a zip (.npz)
parquet     a table (.parquet)
reading     a file → an export, if it is one
"""
