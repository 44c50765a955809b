"""Folded queries → the state of attention after every key, wherever the keys lie.

bias        what is added to each logit, by key number
engine      the protocol of all engines
pieces      the rows of a catalog → pieces, which are read and merged the same way by all engines
scan        some keys → the state of attention after them
local       one pass over the keys on this machine, on all its cores
wire        bias and states ↔ bytes and arrays
part        a task → its answer: what any process can do that sees the segments
remote      tasks out to other processes, answers back, complete or refused
placement   tasks → the workers that are asked first
cluster     an address → a Dask cluster that does tasks, under a deadline
groups      keys against keys: items that say almost the same
covariance  all keys → the directions in which they differ most
"""
