"""Harnesses that try to break the commit path, all with the small encoder. In reading order:

generations   what the catalog holds at its g-th generation, and how it must answer
verifier      a home → which generation it is, or a Violation
driver        the process that writes, and is killed
kill          SIGKILL at random moments
faults        each system call of a commit in turn: die there, or fail (faults.c is preloaded)
power         the same calls, recorded; what a disk could hold after a power cut at each
writers       two writers at once
load          readers beside a writer; ten thousand queries

`make test` runs them shortened (tests/test_torture.py), `make torture` whole.
"""
