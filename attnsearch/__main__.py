"""Run the command line: `attnsearch`, `python -m attnsearch`."""

import signal

# Python would answer Ctrl-C with a traceback until `main` can answer it in a line. Until then, it just ends us.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from attnsearch.cli import run

if __name__ == "__main__":
    run()
