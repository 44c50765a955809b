"""A workshop: small random models of every kind, made by transformers and saved by sentence-transformers.

A model has the widths of a toy, and weights large enough that every part of it shows in its vectors. Its tokenizer is
trained on the sentences below.
"""

from __future__ import annotations

import functools
import itertools
import json
import random
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

WIDTH, WIDER, LAYERS, HEADS = 32, 48, 3, 4
WINDOW = 40  # tokens
VOCABULARY = 700

SENTENCES = [
    "The moon rises over the quiet sea, and a robot counts the stars until morning.",
    "She wrote a letter about growing tomatoes on a balcony without much sun.",
    "A history of the spice trade between the coast of India and the harbors of Europe.",
    "How do I list all files in a directory, sorted by size? Use ls -lS and read the man page.",
    "The unbelievable adventures of a cartographer who is afraid of maps, in two volumes.",
    "Wie der Krieg um die große Straße begann, und warum niemand schlief.",
    "Un petit café près de la gare, où l'on joue aux échecs jusqu'à minuit.",
    "Книга о войне и о мире, о море и о луне.",
    "Η θάλασσα είναι ήσυχη και το φεγγάρι ανατέλλει.",
    "日本の小説と、月の海についての静かな本。",
    "海上生明月，天涯共此时。",
    "달이 조용한 바다 위로 떠오른다.",
    "القمر يطلع فوق البحر الهادئ.",
    "चाँद शांत समुद्र के ऊपर उगता है।",
    "Recipes for soup: carrots, onions, 250 g of lentils, 1.5 l of water; simmer for 30 minutes.",
]

ODD = [
    "", " ", "\t\n", "\x00\x07", "a", "?!", "x" * 300, "word " * 100, "12345 " * 40, " two  spaces ", "tab\tand\nline",
    "🚀", "🚀" * 30, "👩‍🚀 and 👨‍👩‍👧", "naïve Straße İstanbul ﬁ Ⅷ ﷺ", "e\u0301" * 20, "\u0301" * 9,
    "\u202eright to left", "[CLS] [SEP] [MASK] [UNK] [PAD]", "<s> a </s> <pad> <mask> <unk>", "<pad>", "a <pad> b",
    "▁ Ġ ##ing", "MOON Moon", "달" * 40, "שלום עולם", "한국어 " * 12, "ก็ไม่รู้", "\ufeffBOM", "a\u00a0b\u2009c\u3000d",
    "𝕄𝕒𝕥𝕙", "ǅ ß ſ",
]  # fmt: skip


@functools.cache
def texts(n: int = 500) -> tuple[str, ...]:
    """So many texts: odd ones, parts of sentences in several scripts, and some that are longer than the window."""
    rng = random.Random(20)
    words = [word for sentence in SENTENCES for word in sentence.split()]

    def some() -> str:
        if rng.random() < 0.2:
            return rng.choice(SENTENCES)[: rng.randrange(1, 60)]
        count = rng.choice([1, 2, 3, 4, 6, 9, 14, 30, 60])
        return " ".join(rng.choice(words) + rng.choice(["", "", "", ",", "🚀", "́"]) for _ in range(count))

    return tuple(itertools.islice(itertools.chain(ODD, iter(some, None)), n))


def word_pieces(**options: Any) -> Any:
    """A tokenizer as BERT has it: words in lower case, in pieces; `options` are of transformers' class."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import BertTokenizer

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=marks, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return BertTokenizer(vocab=tokenizer.get_vocab(), model_max_length=WINDOW, **options)


def cased_pieces() -> Any:
    """The same, which leaves letters as they are."""
    return word_pieces(do_lower_case=False, tokenize_chinese_chars=False)


def mpnet_pieces() -> Any:
    """A tokenizer as MPNet has it: BERT's pieces with other marks, of which padding is the second."""
    from transformers import MPNetTokenizer

    marks = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]
    pieces = [piece for piece in word_pieces().get_vocab() if not piece.startswith("[")]
    vocabulary = {piece: number for number, piece in enumerate([*marks, *sorted(pieces)])}
    return MPNetTokenizer(vocab=vocabulary, model_max_length=WINDOW)


def bytes_in_pairs() -> Any:
    """A tokenizer as RoBERTa has it: byte-level byte-pair encoding."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaTokenizer

    trained = ByteLevelBPETokenizer()
    marks = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator(SENTENCES, VOCABULARY, special_tokens=marks, show_progress=False)
    model = json.loads(trained.to_str())["model"]
    merges = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in model["merges"]]
    return RobertaTokenizer(vocab=model["vocab"], merges=merges, model_max_length=WINDOW)


def unigrams() -> Any:
    """A tokenizer as XLM-R has it: a unigram model over words that begin with a mark."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import XLMRobertaTokenizer

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    marks = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=VOCABULARY - 1, special_tokens=marks, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    pieces = [(piece, score) for piece, score in json.loads(tokenizer.to_str())["model"]["vocab"]]
    return XLMRobertaTokenizer(vocab=[*pieces, ("<mask>", 0.0)], model_max_length=WINDOW)


class Kind(NamedTuple):
    """A kind of model: the name of its configuration's class, which fields that has, its tokenizer, its modules.

    `modules` follow the network, as the names of sentence-transformers' classes and their arguments. The weights are
    stored as `dtype`.
    """

    config: str
    fields: Mapping[str, Any] = {}
    tokenizer: Callable[[], Any] = word_pieces
    modules: tuple[tuple[str, Mapping[str, Any]], ...] = (("Pooling", {}),)
    dtype: str = "float32"


SIZES = {
    "hidden_size": WIDTH,
    "intermediate_size": WIDER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "max_position_embeddings": WINDOW + 10,
}
MARKS = dict.fromkeys(("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 0)
DISTILLED = {"dim": WIDTH, "hidden_dim": WIDER, "n_layers": LAYERS, "n_heads": HEADS, "max_position_embeddings": 50}
POOLINGS = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
KINDS: dict[str, Kind] = {
    "bert": Kind("BertConfig", SIZES),
    "roberta": Kind("RobertaConfig", SIZES, bytes_in_pairs),
    "xlm-roberta": Kind("XLMRobertaConfig", {**SIZES, "type_vocab_size": 1}, unigrams),
    "bert, several languages": Kind("BertConfig", {**SIZES, "hidden_act": "gelu_new"}, unigrams),
    "mpnet": Kind("MPNetConfig", SIZES, mpnet_pieces),
    "distilbert": Kind("DistilBertConfig", DISTILLED),
    "modernbert": Kind("ModernBertConfig", {**SIZES, **MARKS, "local_attention": 10}, bytes_in_pairs),
    "bert, every pooling": Kind("BertConfig", SIZES, modules=(("Pooling", {"pooling_mode": POOLINGS}),)),
    "bert, maps": Kind(
        "BertConfig",
        SIZES,
        modules=(
            ("Pooling", {"pooling_mode": "cls"}),
            ("Dense", {"out_features": 24}),
            ("Normalize", {}),
            ("Dense", {"out_features": 16, "bias": False, "activation_function": None}),
            ("Normalize", {}),
        ),
    ),
    "bert, a linear map": Kind(
        "BertConfig",
        SIZES,
        modules=(
            ("Pooling", {"pooling_mode": "weightedmean"}),
            ("Dense", {"out_features": 40, "activation_function": None}),
        ),
    ),
    "bert, cased": Kind("BertConfig", SIZES, cased_pieces),
    "bert, float16": Kind("BertConfig", SIZES, dtype="float16"),
    "bert, bfloat16": Kind("BertConfig", SIZES, dtype="bfloat16"),
}


def make(kind: Kind, folder: Path) -> Path:
    """Write a model of this kind to a folder."""
    import torch
    import transformers
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers.utils.logging.disable_progress_bar()
        tokenizer = kind.tokenizer()
        marks = {"pad_token_id": tokenizer.pad_token_id, "vocab_size": len(tokenizer)}
        config = getattr(transformers, kind.config)(**{**marks, **kind.fields})
        torch.manual_seed(20)
        network = transformers.AutoModel.from_config(config, dtype=torch.float32)
        with torch.no_grad():
            for name, weights in network.named_parameters():
                mean = 1 if "norm" in name.lower() and name.endswith("weight") else 0
                weights.normal_(mean, (1.28 / network.config.hidden_size) ** 0.5)
        network.to(getattr(torch, kind.dtype)).save_pretrained(folder / "network")
        tokenizer.save_pretrained(folder / "network")
        parts: list[Any] = [modules.Transformer(str(folder / "network"))]
        width = network.config.hidden_size
        for name, arguments in kind.modules:
            defaults = {"Pooling": {"embedding_dimension": width}, "Dense": {"in_features": width}}.get(name, {})
            parts.append(getattr(modules, name)(**{**defaults, **arguments}).float())
            width = getattr(parts[-1], "pooling_output_dimension", getattr(parts[-1], "out_features", width))
        SentenceTransformer(modules=parts, device="cpu").save(str(folder / "model"))
    return folder / "model"


class Workshop:
    """Models in folders of their own, each of which is made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, name: str) -> Path:
        """The folder of the model of `KINDS` that has this name."""
        made = self.folder / name / "model"
        return made if made.exists() else make(KINDS[name], self.folder / name)
