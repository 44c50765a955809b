"""The road: query → result.

index           a catalog open for questions: its keys and the encoder that made them
union           several catalogs as one
items           the name of an item → its id, and its keys
self_attention  items as a query
readout         weights and a field → a mean, or shares
setting         how a catalog is asked, resolved once: W_Q, τ, λ, null key, mask and bias
scoring         queries → their states and null weights, or every logit
result          what an answer consists of
search          the road itself
weights         every item's weight
hint            a name in a request → the filter for it
duplicates      items that say almost the same, in groups
"""
