"""What one writes without a tool, for many queries: `ten_lines_piped.py MODEL ITEMS.jsonl X.npy < QUERIES`.

On stderr, the seconds that it took to load.
"""

import json
import sys
import time
from pathlib import Path

start = time.perf_counter()
import numpy as np  # noqa: E402
from sentence_transformers import SentenceTransformer  # noqa: E402

model_folder, items_file, embeddings_file = sys.argv[1:]
titles = [json.loads(line)["title"] for line in Path(items_file).read_text().splitlines()]
model, keys = SentenceTransformer(model_folder), np.load(embeddings_file)
print(time.perf_counter() - start, file=sys.stderr)
for scores in model.encode(sys.stdin.read().splitlines(), normalize_embeddings=True) @ keys.T:
    for item in scores.argsort()[::-1][:10]:
        print(f"{scores[item]:.3f}  {titles[item]}")
