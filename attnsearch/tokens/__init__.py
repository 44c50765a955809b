"""Texts → word pieces, by a model's tokenizer.

tokenizer  the tokenizer in a model's folder
excerpt    the part of a large vocabulary that a few texts can need
"""
