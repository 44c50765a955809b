"""What one writes without a tool: `ten_lines.py MODEL ITEMS.jsonl X.npy QUERY`; X.npy stores the embeddings."""

import json
import sys
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

model_folder, items_file, embeddings_file, query = sys.argv[1:]
titles = [json.loads(line)["title"] for line in Path(items_file).read_text().splitlines()]
model = SentenceTransformer(model_folder)
if not Path(embeddings_file).exists():
    texts = [json.loads(line)["description"] for line in Path(items_file).read_text().splitlines()]
    np.save(embeddings_file, model.encode(texts, normalize_embeddings=True))
scores = np.load(embeddings_file) @ model.encode(query, normalize_embeddings=True)
for item in scores.argsort()[::-1][:10]:
    print(f"{scores[item]:.3f}  {titles[item]}")
