"""A name or a file → a catalog open for queries.

freshening  a file → its catalog, which is as new as the file
index       a catalog open for queries: one snapshot of its keys, and the encoder that made them
agreement   whether several catalogs were made by one encoder
union       several catalogs as one
latest      catalogs by name → an index of their latest state
items       a catalog open for its items alone; and the name of an item → its id, and its keys
remote      an index whose keys other machines compare
"""
