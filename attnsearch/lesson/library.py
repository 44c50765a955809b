"""Four books, a request, W_Q, W_K and W_V, all in small numbers.

Axis letters: n = 4 books, d = 3 numbers on a card, d_k = 4 questions, e = 3 kinds of pages.

The numbers are chosen so that each step can be computed from what the step before it prints: √d_k is 2, logits are
whole or half, lengths are rounded without harm, and printed shares add up to 100.0%.
"""

from __future__ import annotations

import numpy as np

CARD = ("space", "love", "fear")  # d
QUESTIONS = ("far", "warm", "dark", "hope")  # d_k
PAGES = ("wonder", "tears", "chills")  # e

REQUEST = "love among the stars, nothing scary"
WORDS = {"love": (0, 1, 0), "among the stars": (1, 0, 0), "nothing scary": (0, 0, -1)}

TITLES = ("Lantern on Mars", "Tea with a Ghost", "The Last Signal", "The Ninth Stair")
X = np.array([[2, 1, 0], [0, 2, 1], [2, 1, 2], [0, 0, 1]], float)  # (n, d)

W_Q = np.array([[1, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 0]], float)  # (d, d_k)
W_K = np.array([[1, 0, 0, 0], [0, 2, 0, 0], [0, 0, 1, -1]], float)  # (d, d_k)
W_V = np.array([[200, 0, 0], [50, 100, 0], [0, 0, 100]], float)  # (d, e)
LEARNED_W_Q = np.array([[0.5, 0, 0, 0], [0, 2, 0, 1], [0, 0, 1, 0]], float)  # (d, d_k)

LENT = "Lantern on Mars"
NAMED, NAMED_BIAS = "The Last Signal", 1.0  # the book whose title the request names, and what that adds to its logit
NOTHING, NOTHING_LOGIT = "nothing like that", 1.5  # the null key
ELSEWHERE = "how do I unclog a sink"  # a request without space, love or fear
