"""A catalog's folder on disk, durable and checked.

checksum   bytes, or the cells of a row → a checksum that detects damage
files      where catalogs lie; file names, opening and atomic replacement, no links followed
failures   what the system reports → the errors that people read
database   index.sqlite ↔ info, keys, items, fields
segment    the list of files of vectors, and each file ↔ memory
lock       many readers, one writer at a time
store      the folder → keys and items, one snapshot
seal       a hash over the whole database, for the check
migration  a catalog of an older form → one of the present form
learned    what a catalog has learned ↔ a small file
home       which catalogs there are, and by what name
"""
