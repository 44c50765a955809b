"""Folded queries → the state of attention after every key, wherever the keys lie.

bias        what is added to each logit, by key number
pieces      the rows of a catalog → pieces, which are read and merged the same way by all engines
groups      keys against keys: items that say almost the same
covariance  all keys → the directions in which they differ most
engine      the protocol of all engines
scan        some keys → the state of attention after them
local       one pass over the keys on this machine, on all its cores
"""
