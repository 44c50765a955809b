"""Tables in folders: every form against the library that it is of, and what is wrong with files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from attnsearch.encoding import loading, static
from attnsearch.encoding.sbert import SentenceEncoder
from attnsearch.encoding.static import NOTHING, StaticEncoder
from attnsearch.errors import ModelError
from attnsearch.models.use import Use
from tests.encoding import tiny
from tests.encoding.conftest import CLOSE
from tests.networks import made
from tests.networks.test_safetensors import write_tensors

WIDTH = 24
KINDS = {"word pieces": made.word_pieces, "unigrams": made.unigrams, "bytes in pairs": made.bytes_in_pairs}
ROWS = tiny.TABLE_ROWS


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request):
    """A tokenizer that pads and cuts, as those of sentence-transformers' models do; a table's does neither."""
    tokenizer = KINDS[request.param]()._tokenizer
    tokenizer.enable_padding(length=7)
    return tokenizer


def draw_rows(count, dtype=np.float32):
    rows = np.random.default_rng(count).normal(size=(count, WIDTH))
    return np.rint(rows * 40).astype(dtype) if dtype == np.int8 else rows.astype(dtype)


def unit(x):
    """The rows at length 1, and which of them are not zero."""
    norms = np.linalg.norm(x.astype(np.float64), axis=1)
    return x[norms > 0] / norms[norms > 0, None], norms > 0


@pytest.mark.slow
@pytest.mark.parametrize("normalized", [False, True])
def test_sentence_transformers(tokenizer, tmp_path, normalized):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    tokenizer.enable_truncation(30)  # which a table keeps
    embedding = modules.StaticEmbedding(tokenizer, embedding_weights=draw_rows(tokenizer.get_vocab_size()))
    peer = SentenceTransformer(modules=[embedding, *[modules.Normalize()] * normalized], device="cpu")
    peer.save(str(tmp_path))
    encoder = loading.load(str(tmp_path))
    assert isinstance(encoder, StaticEncoder)
    assert encoder.window == 30
    theirs, read = unit(peer.encode(list(made.texts())))
    assert read.sum() > 450
    assert encoder.encode(made.texts())[read] == pytest.approx(theirs, abs=CLOSE)
    slow = SentenceEncoder(encoder.model, use=Use("query: ", "the ", 8))
    quick = loading.build(encoder.model, use=slow.use)
    for role in ("query", "key"):
        assert quick.encode(made.texts(60), role) == pytest.approx(slow.encode(made.texts(60), role), abs=CLOSE)


@pytest.mark.slow
def test_older_folders_of_sentence_transformers(tokenizer, tmp_path):
    """Until version 5 a module had a folder of its own."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    embedding = modules.StaticEmbedding(tokenizer, embedding_weights=draw_rows(tokenizer.get_vocab_size(), np.float16))
    (tmp_path / "0_StaticEmbedding").mkdir()
    embedding.save(str(tmp_path / "0_StaticEmbedding"))
    write_modules(tmp_path, "0_StaticEmbedding")
    theirs, read = unit(SentenceTransformer(str(tmp_path), device="cpu").float().encode(list(made.texts(80))))
    assert loading.load(str(tmp_path)).encode(made.texts(80))[read] == pytest.approx(theirs, abs=CLOSE)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int8])
@pytest.mark.parametrize("form", ["plain", "weights", "mapping", "both"])
def test_model2vec(tokenizer, tmp_path, form, dtype):
    model2vec = pytest.importorskip("model2vec")
    count = tokenizer.get_vocab_size()
    rng = np.random.default_rng(5)
    rows = draw_rows(50 if form in ("mapping", "both") else count, dtype)
    places = rng.integers(0, len(rows), count) if form in ("mapping", "both") else None
    weights = rng.uniform(0.1, 2, count) if form in ("weights", "both") else None
    saved = model2vec.StaticModel(rows, tokenizer, weights=weights, token_mapping=places, max_length=30)
    saved.save_pretrained(tmp_path)
    # In float16 its own sums are rounded, and so is its answer.
    peer = model2vec.StaticModel.from_pretrained(tmp_path, quantize_to=None if dtype == np.int8 else "float32")
    peer.median_token_length = 1_000  # it cuts texts at so many characters a piece, to save time
    encoder = loading.load(str(tmp_path))
    assert isinstance(encoder, StaticEncoder)
    assert encoder.window == 30
    theirs, read = unit(peer.encode(list(made.texts())))
    assert read.sum() > 430
    assert encoder.encode(made.texts())[read] == pytest.approx(theirs, abs=CLOSE)


def write_modules(folder, path=".", *kinds):
    parts = [(path, "StaticEmbedding"), *((f"{n}_{kind}", kind) for n, kind in enumerate(kinds, 1))]
    modules = [{"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
               for n, (path, kind) in enumerate(parts)]  # fmt: skip
    (folder / "modules.json").write_text(json.dumps(modules))


def write(folder, tensors, config=None, **tokenizer):
    """The encoder of a table of four words, of which [UNK] is unknown, with these tensors."""
    write_tensors(tiny.table(folder, **tokenizer) / "model.safetensors", tensors)
    (folder / "config.json").unlink()
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return loading.load(str(folder))


class TestByHand:
    def test_sentence_transformers_counts_unknown_words(self, tmp_path):
        encoder = write(tmp_path, {"embedding.weight": ROWS})
        assert encoder.encode(["moon sea", "robot", "moon star"]) == pytest.approx(
            np.array([[0.5**0.5, 0.5**0.5], [0.6, 0.8], [5 / 41**0.5, 4 / 41**0.5]])
        )

    def test_model2vec_leaves_them_out(self, tmp_path):
        encoder = write(tmp_path, {"embeddings": ROWS})
        assert encoder.encode(["moon star", "robot"]) == pytest.approx(np.array([[1, 0], [0.6, 0.8]]))
        assert encoder.tokens("moon star") == ["moon", "[UNK]"]
        (pieces,) = encoder.pieces(["moon star sea"])
        assert (pieces.tokens, pieces.spans) == (["moon", "sea"], [(0, 4), (10, 13)])
        assert pieces.vectors == pytest.approx(np.array([[0.5**0.5, 0], [0, 0.5**0.5]]))

    def test_mapping_and_weights(self, tmp_path):
        tensors = {"embeddings": ROWS[1:3], "mapping": np.array([0, 0, 1, 1]), "weights": np.array([1, 3, 4, 0.5])}
        encoder = write(tmp_path, tensors)
        assert encoder.encode(["moon sea", "moon robot"]) == pytest.approx(
            np.array([[0.6, 0.8], [3 / 9.25**0.5, 0.5 / 9.25**0.5]])
        )

    @pytest.mark.parametrize(("tensor", "text"), [("embeddings", "star"), ("embeddings", ""), ("embedding.weight", "")])
    def test_a_text_without_a_piece_is_like_all(self, tmp_path, tensor, text):
        encoder = write(tmp_path, {tensor: ROWS})
        assert encoder.encode([text]) == pytest.approx(np.array([[8 / 145**0.5, 9 / 145**0.5]]))
        (pieces,) = encoder.pieces([text])
        assert (pieces.tokens, pieces.spans) == ([NOTHING], [None])

    def test_bfloat16(self, tmp_path):
        halves = (ROWS.view(np.uint32) >> 16).astype(np.uint16)
        assert write(tmp_path, {"embedding.weight": halves}).encode(["robot"]) == pytest.approx(np.array([[0.6, 0.8]]))

    @pytest.mark.parametrize(
        ("tensor", "config", "truncation", "window"),
        [
            ("embedding.weight", None, None, static.WINDOW),
            ("embedding.weight", {"max_length": 9}, None, static.WINDOW),
            ("embedding.weight", None, 9, 9),
            ("embeddings", None, 9, 512),
            ("embeddings", {"max_length": 3}, None, 3),
            ("embeddings", {"max_length": None}, None, static.WINDOW),
        ],
    )
    def test_windows(self, tmp_path, tensor, config, truncation, window):
        cut = truncation and {"max_length": truncation, "direction": "Right", "strategy": "LongestFirst", "stride": 0}
        encoder = write(tmp_path, {tensor: ROWS}, config, truncation=cut)
        assert encoder.window == window
        x = encoder.encode(["moon " * window, "moon " * window + "sea", "moon " * (window - 1) + "sea"])
        assert np.array_equal(x[0], x[1])
        assert not np.array_equal(x[0], x[2])
        assert len(encoder.tokens("moon " * 2_000)) == 2_000


@pytest.mark.parametrize(
    ("tensors", "config", "problem"),
    [
        ({"x": ROWS}, None, "has no tensor embedding.weight, nor embeddings"),
        ({"embedding.weight": ROWS[0]}, None, "is not a table"),
        ({"embedding.weight": ROWS[:0]}, None, "is not a table"),
        ({"embedding.weight": ROWS[:, :0]}, None, "is not a table"),
        ({"embedding.weight": ROWS.astype(np.int64)}, None, "is not a table"),
        ({"embedding.weight": ROWS[:2]}, None, "its tokenizer does not fit its table"),
        ({"embeddings": ROWS, "mapping": np.array([0, 1])}, None, "its tokenizer does not fit its table"),
        ({"embeddings": ROWS, "mapping": np.array([0, 1, 2, 4])}, None, "mapping points past the 4 rows"),
        ({"embeddings": ROWS, "mapping": np.array([0, -1, 2, 3])}, None, "mapping points past the 4 rows"),
        ({"embeddings": ROWS, "mapping": ROWS}, None, "mapping does not have a number for each word piece"),
        ({"embeddings": ROWS, "mapping": np.array([], int)}, None, "mapping does not have a number for each"),
        ({"embeddings": ROWS, "weights": ROWS[0]}, None, "weights does not have a weight for each word piece"),
        ({"embeddings": ROWS, "weights": np.array([1, 1, 1, 1])}, None, "weights does not have a weight for each"),
        ({"embeddings": ROWS}, {"max_length": 0}, "max_length is 0"),
        ({"embeddings": ROWS}, {"max_length": "9"}, "max_length is 9"),
        ({"embeddings": ROWS}, [], "can't be read"),
        ({"embedding.weight": ROWS * np.nan}, None, "gave a vector without a direction"),
        ({"embedding.weight": np.full((4, 2), np.inf, np.float32)}, None, "gave a vector without a direction"),
        ({"embedding.weight": ROWS * 0}, None, "gave a vector without a direction"),
    ],
)
def test_files_that_lie(tmp_path, tensors, config, problem):
    for role in ("key", "query"):
        with pytest.raises(ModelError, match=problem):
            write(tmp_path, tensors, config).encode(["moon robot"], role)
    if "direction" not in problem:
        with pytest.raises(ModelError, match=problem):
            write(tmp_path, tensors, config).pieces(["moon robot"])


def test_a_tokenizer_that_reads_the_end(tmp_path):
    cut = {"max_length": 9, "direction": "Left", "strategy": "LongestFirst", "stride": 0}
    with pytest.raises(ModelError, match="reads the end of long texts"):
        write(tmp_path, {"embedding.weight": ROWS}, truncation=cut).encode(["moon"])


@pytest.mark.parametrize("kinds", [["Dense"], ["Normalize", "Normalize"], ["Pooling"]])
def test_what_is_not_covered(tmp_path, kinds):
    assert isinstance(write(tmp_path, {"embedding.weight": ROWS}), StaticEncoder)
    write_modules(tmp_path, ".", *kinds)
    assert isinstance(loading.load(str(tmp_path)), SentenceEncoder)


def test_vectors_that_are_cut(tmp_path):
    folder = tiny.table(tmp_path)
    assert isinstance(loading.load(str(folder)), StaticEncoder)
    tiny.change_json(folder / "config_sentence_transformers.json", truncate_dim=2)
    assert not isinstance(loading.load(str(folder)), StaticEncoder)


def test_model2vec_without_modules(tmp_path):
    write(tmp_path, {"embeddings": ROWS}, {"model_type": "model2vec"})
    (tmp_path / "modules.json").unlink()
    assert loading.load(str(tmp_path)).encode(["robot"]) == pytest.approx(np.array([[0.6, 0.8]]))
