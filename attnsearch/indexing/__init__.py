"""Bring a catalog up to date, and make it whole again.

numbering   ids made of titles, each its own, and the same in every run
changes     incoming items ↔ stored ones: new, changed, gone, to be embedded
checkpoint  the embeddings of an unfinished run, reused by the next one
compaction  the list of segments, kept short and nearly free of dead rows
writer      items and embeddings → disk, in one transaction
embedding   texts → their embeddings, kept as they come
target      files and options → the catalog that is meant, and how its items are read
supply      items that come with their vectors
update      files of items → a catalog that is up to date
check       a catalog → what is wrong with it
salvage     a damaged catalog → what of it is intact
repair      a damaged catalog → a whole one
"""
