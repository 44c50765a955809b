"""A name or a file → a catalog open for queries.

index  a catalog open for queries: one snapshot of its keys, and the encoder that made them
union  several catalogs as one
items  the name of an item → its id, and its keys
"""
