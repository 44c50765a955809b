"""The work of engines and encoders, done by the processes of a Dask cluster.

packing    bias and states ↔ bytes and arrays
part       a task → its answer: what any process can do that sees the segments
remote     tasks out to other processes, answers back, complete or refused
placement  tasks → the workers that are asked first
address    what a user may write for a cluster
texts      texts → vectors: an encoder's work that any process can do which has its model
encoder    batches of texts out to other processes, vectors back, proven to be the encoder's own
here       a cluster of processes on this machine
dask       an address → a Dask cluster that does tasks, under a deadline
"""
