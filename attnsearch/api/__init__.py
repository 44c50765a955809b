"""What a Python program uses: an index that is open, its answers, and how a catalog is made.

arguments  what a caller passed → what the house takes, or TypeError and ValueError
items      an item, and what a catalog knows of a field
arrays     the items and keys of an open index as arrays
result     the answer to a query, as a sequence of hits
feedback   which items a caller finds right and wrong → the catalog's feedback
index      a catalog open for questions
update     files, or items as dicts → a catalog that is up to date
"""
