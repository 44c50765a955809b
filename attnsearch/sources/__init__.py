"""Records → items and judged requests, each with its line.

letters      text → its normal form, in linear time, and words with their marks
numbers      a written number → the number, with no digit lost
dates        a written date → when it begins and ends
kinds        the values of a field → its kind, and what each value means in it
markup       HTML in a text → the text that a browser would show
fields       what the fields of a record are called, and those of id, title and text
recognition  the first records → which of their fields hold id, title and text
items        records → items: id, title, description, key text
summary      items as they come and go → the kind, range and commonest values of each field
trec         TREC's queries and qrels → graded queries
judgments    a file → judged requests: which items are right for each
"""
