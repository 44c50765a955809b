"""Harnesses that try to break the commit path, all with the small encoder. In reading order:

generations  what the catalog holds at generation g, and how it must answer
verifier     a home → the generation of its catalog, or a Violation
driver       the process that writes, or runs commands, and is killed
scenes       commands other than `index`: what holds before and after each
kill         SIGKILL at random moments, of a writer, and of commands
faults       each system call of these in turn: the process dies, or the call fails (faults.c is preloaded)
power        the same calls, recorded: each state that the disk may be in after a power cut
flips        each byte of an index flipped in turn
writers      two writers at once
database     SIGKILL at random moments of a writer in PostgreSQL
load         readers beside a writer; ten thousand queries
shared       threads that share an index beside a writer
storm        all commands at once, and processes killed meanwhile

`make test` runs them shortened (tests/test_torture.py), `make torture` in full.
"""
