"""Catalogs → tools for a model, by the Model Context Protocol.

words     texts of a catalog → text that can't mislead a model, and is short
tools     what each tool takes and answers, as types and in words
schemas   these types → JSON schemas that every client can read
portions  an answer → the same answer in at most 20 kB
overview  catalogs → their names, fields, and examples of filters
entries   items and hits → entries of an answer
calls     a tool's arguments → its answer
server    the tools → a server, and its endpoint in an application of ASGI
stdio     standard input and output → the server
clients   a program that uses tools → the lines of its configuration
"""
