"""`python -m attnsearch`."""

import sys

from attnsearch.cli import main

if __name__ == "__main__":
    sys.exit(main())
