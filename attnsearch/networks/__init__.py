"""Word pieces → hidden states → vectors, in numpy.

safetensors  tensors ↔ a safetensors file
weights      the numbers of a model's configuration, and its tensors, each checked
layers       the parts that networks are built from
network      the protocol of all networks
kin          BERT and its kin: how their names and parts differ
bert         the network of BERT
modernbert   the network of ModernBERT
pooling      the hidden states of a text's tokens → one vector
dense        a model's vectors → other vectors: the maps that follow its pooling
pipeline     what a model's tokenizer.json does, compared with what its other files say of it
coverage     a model's folder → how the fast path reads it, if it covers the model
table        a static model's folder → its table
"""
