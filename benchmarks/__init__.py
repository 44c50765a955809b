"""Benchmarks, described in README.md. Sets the environment before any of them imports numpy."""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as the command line sets it
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "true"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or every timed process would compile its imports
