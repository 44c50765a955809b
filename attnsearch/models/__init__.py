"""A model's name → its folder, which is safe to read.

faults   whatever a library does with a model's files → a ModelError
trust    a model's folder → its files, if they are safe to read and ask for no code
model    a model's name → its folder, and the hashes of its files
use      how a catalog uses its model: prompts, and the width of its vectors
prompts  which prompts a model was trained with: those in its files, else those that its card names
record   what a catalog records of the models of its encoders
"""
