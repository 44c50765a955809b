"""Texts → word pieces, as a model's tokenizer cuts them.

tokenizer   the tokenizer in a model's folder
excerpt     the part of a large vocabulary that a few texts can need
byte_pairs  a request → its word pieces in wordllama's table, without the tokenizer
"""
