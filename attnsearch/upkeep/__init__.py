"""Which catalog is asked, whether it is as new as its sources, and how it goes.

freshness  a catalog's files ↔ what they were when they were read
default    no name → the catalog that is asked
removal    a catalog → gone, but for what a person taught it
"""
