"""`python -m attnsearch`."""

import sys

from attnsearch.cli import main

sys.exit(main())
