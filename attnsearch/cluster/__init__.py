"""The work of engines and encoders, done by the processes of a Dask cluster.

packing      bias and states ↔ bytes and arrays
address      what a user may write for a cluster
urls         a URL → the files that lie there
copies       segments of a published catalog → copies of them on this machine
part         a task → its answer, by any process that sees the segments
remote       tasks out to other processes, answers back, complete or refused
placement    tasks → the workers that are asked first
texts        texts → vectors, by any process that has the encoder's model
encoder      batches of texts out to other processes, vectors back, proven to be the encoder's own
here         a cluster of processes on this machine
dask         an address → a Dask cluster that does tasks, under a deadline
publication  a catalog → its segments at a URL, with a manifest that names them
"""
