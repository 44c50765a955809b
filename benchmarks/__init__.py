"""Benchmarks: README.md. The environment is set here, before any of them imports numpy."""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as the command line sets it
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "true"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a process that compiles what it imports is timed for that
