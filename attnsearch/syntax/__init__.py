"""Text → plain values, and the names of fields.

values       plain values with their lines, and the limits that every reader enforces
names        the names of fields that usually hold an id, a title or a text
nearest      a word → those that are like it
formats      the formats of files, and how a user says in which a file is
languages    the languages whose word endings terms can do without
foreign      the language that a text seems to be in, if not English
yaml12       YAML text → values, by YAML 1.2, safe on hostile files
strict_json  JSON text → values, strict about what other programs could not handle
"""
