"""Coverage-guided fuzzing of every reader: `python -m tests.fuzz TARGET --seconds 600`.

A target is a function of bytes in `targets.TARGETS`, with a few small files of its own in `seeds/<name>/`. To add
one: write the function, put it into the tuple, and put a file into the folder; `tests/test_fuzz.py` then runs it
over its seeds in every `make test`. A finding is any exception but AttnsearchError, an input that takes more than
10 s, more than 1 GiB of memory.
"""
