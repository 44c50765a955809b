"""Texts → unit vectors, and what each word piece adds to them.

pieces         a text's vector as a sum over its word pieces
encoder        the protocol of all encoders, and what they share
passages       a long text → overlapping passages that the encoder reads whole
torch_batches  word pieces → vectors by a loaded torch model
sbert          the encoder that sentence-transformers runs
fast           the encoder in numpy, for models that it covers
static         the encoder that is a table of word pieces
heads          several encoders as one
loading        a model's name → its encoder
trial          an encoder, tried in a process of its own
"""
