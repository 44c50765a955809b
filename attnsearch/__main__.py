"""Run the command line: `python -m attnsearch`."""

from attnsearch.cli import run

if __name__ == "__main__":
    run()
