"""The road: query → result.

self_attention  items as a query
readout         weights and a field → a mean, or shares
spelling        a request as it was typed → as it is read
memory          judged requests that are like a query → higher logits of what was right for them
setting         how a catalog is asked, resolved once: W_Q, τ, λ, null key, mask and bias
emptied         filters that leave no item → which of them, and what to ask for
scoring         queries → their states and null weights, or every logit
result          what an answer consists of
ranking         scores → the hits of a query, and its result
search          the road itself
weights         every item's weight
duplicates      items that say almost the same, in groups
"""
