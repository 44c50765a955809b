"""A request and its result → what the person who asked may want to know.

names     a name in a request → the filter for it
negation  what a request does not want → the filter that hides it
"""
