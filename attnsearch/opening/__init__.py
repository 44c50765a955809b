"""A name or a file → a catalog open for queries.

index      a catalog open for queries: one snapshot of its keys, and the encoder that made them
agreement  whether several catalogs were made by one encoder
union      several catalogs as one
items      the name of an item → its id, and its keys
"""
