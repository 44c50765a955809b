"""The road: query → result.

index    a catalog open for questions: its keys and the encoder that made them
readout  weights and a field → a mean, or shares
search   the road itself
"""
