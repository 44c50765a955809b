"""What people say of answers, which is kept with the catalog and remembered.

notebook  where that lies, and what was learned: in the catalog's folder
memory    judgments → what the catalog remembers of them
feedback  judgments ↔ lines of a notebook
"""
