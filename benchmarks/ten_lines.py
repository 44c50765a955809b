"""What one writes without a tool: `ten_lines.py MODEL ITEMS.jsonl X.npy QUERY`; X.npy is kept for the next time."""

import json
import sys
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

folder, items, kept, query = sys.argv[1:]
titles = [json.loads(line)["title"] for line in Path(items).read_text().splitlines()]
model = SentenceTransformer(folder)
if not Path(kept).exists():
    texts = [json.loads(line)["description"] for line in Path(items).read_text().splitlines()]
    np.save(kept, model.encode(texts, normalize_embeddings=True))
scores = np.load(kept) @ model.encode(query, normalize_embeddings=True)
for at in scores.argsort()[::-1][:10]:
    print(f"{scores[at]:.3f}  {titles[at]}")
