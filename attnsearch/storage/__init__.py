"""A catalog's folder on disk, durable and checked.

checksum   bytes, or a row's cells → a checksum that finds damage
segment    a file of vectors ↔ memory
learned    what a catalog has learned ↔ a small file
database   index.sqlite ↔ info, segments, items, keys
store      the folder → keys and items, one snapshot
lock       one writer at a time
seal       a hash over the whole database, for the check
migration  a catalog of an older form → one of the present form
home       where catalogs live, by what name, and how they are removed
feedback   judgments ↔ a file beside the catalog
"""
