"""A catalog in a PostgreSQL database with pgvector: its tables, who writes them and who asks them.

address     what a user may write for a catalog in a database
connection  an address → a connection, whose errors are ours
schema      the tables of a catalog
rows        items, keys and postings → the tables
lock        one writer at a time
mirror      the tables in a temporary index.sqlite, which new items are compared with
writer      what changes → the tables, in one transaction
check       the tables → what is wrong with them
store       a catalog in PostgreSQL, for reading
place       an address → what `indexing.update` needs, and what people taught the catalog
engine      attention over its keys: one statement asks for the exact state
postings    the postings that it was written with → those that a query asks about
"""
