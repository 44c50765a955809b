"""Coverage-guided fuzzing of everything that reads: `python -m tests.fuzz TARGET --seconds 600`.

A target is a function of bytes in `targets.TARGETS` with a few small inputs in `seeds/TARGET/`. To add one, write the
function, add it to `TARGETS`, and give it a seed; `tests/test_fuzz.py` then runs it over its seeds in `make test`. A
finding is any exception except AttnsearchError, an input that takes more than 10 s, or more than 1 GiB of memory. Keep
the input of each finding as a seed.
"""
