"""What the fast path covers of a model's folder, and what it says of the rest."""

from __future__ import annotations

import json
import logging
import shutil

import numpy as np
import pytest

from attnsearch.encoding import loading, trial
from attnsearch.errors import ModelError
from attnsearch.networks import safetensors
from attnsearch.networks.coverage import coverage_of, find_gap
from attnsearch.tokens.tokenizer import Spelling
from tests.encoding.tiny import POSITIONS, WIDTH, add_dense, add_module, bert, change_json

PIECES = {  # of a tokenizer's file, as BERT's class builds it
    "normalizer": {"type": "BertNormalizer"},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "max_input_chars_per_word": 100, "vocab": {}},
}
SPACES, METASPACE = {"type": "WhitespaceSplit"}, {"type": "Metaspace", "prepend_scheme": "always"}


@pytest.fixture
def folder(tmp_path):
    return bert(tmp_path / "m")


def test_a_covered_model(folder):
    assert coverage_of(folder)[:4] == ("bert", POSITIONS, ("mean",), True)
    assert find_gap(folder) == ""


class TestWindow:
    @pytest.mark.parametrize(
        ("limits", "tokens", "window"),
        [
            ({"max_seq_length": 9}, {"model_max_length": 7}, 9),  # older ones
            ({}, {"model_max_length": 7}, 7),  # as sentence-transformers writes it since version 6
            ({"max_seq_length": None}, {"max_len": 7}, 7),
            ({}, {"model_max_length": 10**30}, POSITIONS),
            ({"max_seq_length": 10**9}, {}, POSITIONS),
            ({}, {}, POSITIONS),
        ],
    )
    def test_where_it_stands(self, folder, limits, tokens, window):
        (folder / "sentence_bert_config.json").write_text(json.dumps(limits))
        (folder / "tokenizer_config.json").write_text(json.dumps(tokens))
        assert coverage_of(folder).window == window

    @pytest.mark.parametrize(("limits", "tokens"), [({}, {"model_max_length": 0}), ({"max_seq_length": 9.5}, {})])
    def test_no_number_of_tokens(self, folder, limits, tokens):
        (folder / "sentence_bert_config.json").write_text(json.dumps(limits))
        (folder / "tokenizer_config.json").write_text(json.dumps(tokens))
        assert find_gap(folder) == "its window is not a number of tokens"

    def test_other_names_of_the_file(self, folder):
        (folder / "sentence_bert_config.json").unlink()
        assert coverage_of(folder).window == POSITIONS
        change_json(folder / "sentence_roberta_config.json", max_seq_length=8)
        assert coverage_of(folder).window == 8

    def test_positions_behind_the_padding_token(self, folder):
        change_json(folder / "config.json", model_type="xlm-roberta", pad_token_id=1)
        assert coverage_of(folder).window == POSITIONS - 2


@pytest.mark.parametrize(
    ("fields", "pooling"),
    [
        ({"pooling_mode": "lasttoken"}, ("lasttoken",)),
        ({"pooling_mode": ["mean", "cls"]}, ("mean", "cls")),
        (
            {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True, "pooling_mode_lasttoken": True},
            ("cls", "mean", "lasttoken"),
        ),
        ({"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": False}, ("max",)),
        ({"pooling_mode_mean_sqrt_len_tokens": 1, "pooling_mode_mean_tokens": False}, ("mean_sqrt_len_tokens",)),
        ({"pooling_mode_weightedmean_tokens": True, "pooling_mode": "mean"}, ("mean",)),
        ({"pooling_mode_mean_tokens": False}, ("mean",)),
    ],
)
def test_pooling(folder, fields, pooling):
    """As sentence-transformers reads it, in its older form too."""
    change_json(folder / "1_Pooling/config.json", **fields)
    assert coverage_of(folder).pooling == pooling


class TestMaps:
    def test_in_their_order(self, folder):
        add_dense(folder, activation_function="torch.nn.modules.linear.Identity")
        add_module(folder, "Normalize")
        add_dense(folder, 3)
        for _ in range(2):
            add_module(folder, "Normalize", prefix="sentence_transformers.base.modules.normalize.")
        assert coverage_of(folder).maps == ("2_Dense", "", "4_Dense")

    def test_by_hand(self, folder):
        """Σ x + 1 in three places is a vector of equal numbers."""
        add_dense(folder, activation_function="torch.nn.modules.linear.Identity")
        encoder = loading.load(str(folder))
        x = encoder.encode(["moon sea", "robot"])
        assert np.abs(x) == pytest.approx(np.full((2, 3), 3**-0.5), abs=1e-6)
        (pieces,) = encoder.pieces(["moon sea"])
        assert pieces.vectors.sum(axis=0) == pytest.approx(x[0], abs=1e-6)
        assert encoder.encode([]).shape == (0, 3)

    def test_an_activation_leaves_no_pieces(self, folder):
        add_dense(folder)  # tanh, if its configuration does not say so either
        assert loading.load(str(folder)).pieces(["moon"]) == [None]

    @pytest.mark.parametrize(
        ("d_in", "d_out", "match"),
        [
            (WIDTH + 1, 3, f"in_features is {WIDTH + 1}, but vectors have {WIDTH} numbers"),
            ("4", 3, "in_features is 4"),
            (None, 3, "in_features is None"),
            (WIDTH, 10**12, r"linear.weight has the shape \(3, 4\), not \(1000000000000, 4\)"),
            (WIDTH, "3", r"linear.weight has the shape"),
            (WIDTH, None, r"linear.weight has the shape"),
        ],
    )
    def test_widths_that_lie(self, folder, d_in, d_out, match):
        add_dense(folder, d_in, d_out)
        with pytest.raises(ModelError, match=match):
            loading.load(str(folder)).encode(["moon"])

    def test_a_bias_that_its_configuration_denies(self, folder):
        change_json(add_dense(folder) / "config.json", bias=False)
        with pytest.raises(ModelError, match=r"has the tensor linear\.bias"):
            loading.load(str(folder)).encode(["moon"])

    def test_weights_that_lie(self, folder):
        name = add_dense(folder)
        weights = {"linear.weight": np.full((3, WIDTH), np.nan, np.float32), "linear.bias": np.ones(3, np.float32)}
        (name / "model.safetensors").write_bytes(safetensors.pack(weights, {}))
        with pytest.raises(ModelError, match="without a direction"):
            loading.load(str(folder)).encode(["moon"])
        (name / "model.safetensors").write_bytes(b"x")
        with pytest.raises(ModelError, match="is not a complete safetensors file"):
            loading.load(str(folder)).encode(["moon"])

    @pytest.mark.parametrize(
        ("fields", "gap"),
        [
            ({"activation_function": "torch.nn.modules.activation.PReLU"}, "a Dense module has the activation"),
            ({"activation_function": ["x"]}, "its configuration is unusual"),
            ({"use_residual": True}, "a Dense module adds what it takes"),
            ({"module_input_name": "token_embeddings"}, "takes something other than a text's vector"),
        ],
    )
    def test_what_is_not_covered(self, folder, fields, gap):
        add_dense(folder, **fields)
        assert gap in find_gap(folder)

    def test_pickled_weights(self, folder):
        (add_dense(folder) / "model.safetensors").unlink()
        assert find_gap(folder) == "a Dense module has no model.safetensors"

    def test_a_folder_for_two(self, folder):
        modules = json.loads((folder / "modules.json").read_text())
        modules.append({**modules[1], "type": "sentence_transformers.models.Dense", "path": ""})
        (folder / "modules.json").write_text(json.dumps(modules))
        assert find_gap(folder) == "two of its modules share a folder"


@pytest.mark.parametrize(
    ("tokens", "spelling"),
    [
        ({}, Spelling(lowercase=True, handle_chinese_chars=True, add_prefix_space=False)),
        ({"tokenizer_class": "BertTokenizer", "do_lower_case": False, "strip_accents": True},
         Spelling(lowercase=False, strip_accents=True, handle_chinese_chars=True, add_prefix_space=False)),
        ({"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": False}, Spelling()),
    ],
)  # fmt: skip
def test_spelling(folder, tokens, spelling):
    change_json(folder / "tokenizer.json", **PIECES)
    (folder / "tokenizer_config.json").write_text(json.dumps(tokens))
    assert coverage_of(folder).spelling == spelling


def test_letters_in_lower_case_first(folder):
    assert loading.load(str(folder)).tokens("MOON")[1] == "[UNK]"
    change_json(folder / "sentence_bert_config.json", do_lower_case=True)
    assert loading.load(str(folder)).tokens("MOON")[1] == "moon"


@pytest.mark.parametrize(
    ("file", "fields", "gap"),
    [
        ("config.json", {"model_type": "electra"}, "its network is electra"),
        ("config.json", {"model_type": ["bert"]}, "its configuration is unusual"),
        ("config.json", {"hidden_act": "selu"}, "its activation is selu"),
        ("config.json", {"is_decoder": True}, "it is a decoder"),
        ("config.json", {"is_causal": True}, "it is a decoder"),
        ("config_sentence_transformers.json", {"truncate_dim": 2}, "it cuts its vectors"),
        ("1_Pooling/config.json", {"pooling_mode": []}, "its pooling is "),
        ("1_Pooling/config.json", {"pooling_mode": "median"}, "its pooling is median"),
        ("1_Pooling/config.json", {"pooling_mode": 7}, "its configuration is unusual"),
        ("1_Pooling/config.json", {"include_prompt": "no"}, "its include_prompt is neither true nor false"),
        ("sentence_bert_config.json", {"transformer_task": "fill-mask"}, "has transformer_task"),
        ("sentence_bert_config.json", {"processing_kwargs": {"text": {"max_length": 9}}}, "has processing_kwargs"),
        ("sentence_bert_config.json", {"query_length": 9}, "has query_length"),
        ("sentence_bert_config.json", {"query_length": 0}, "has query_length"),
        ("sentence_bert_config.json", {"max_seq_length": 0}, "its window is not a number of tokens"),
        ("tokenizer_config.json", {"split_special_tokens": True}, "it splits its marks"),
        ("tokenizer_config.json", {"model_input_names": ["input_ids"]}, "gets no attention mask"),
        ("tokenizer_config.json", {"mask_token": {"content": "moon"}}, "its tokenizer.json has no mark moon"),
        ("tokenizer_config.json", {"extra_special_tokens": {"x": "moon"}}, "its tokenizer.json has no mark moon"),
        ("special_tokens_map.json", {"cls_token": "moon"}, "its tokenizer.json has no mark moon"),
        ("tokenizer_config.json", {"tokenizer_class": "GPT2Tokenizer"}, "its tokenizer is a GPT2Tokenizer"),
        ("tokenizer.json", {"model": {"type": "BPE", "dropout": 0.5, "vocab": {}}}, "splits at random"),
        ("tokenizer.json", {"truncation": {"direction": "Left"}}, "its truncation begins at the left"),
        ("tokenizer.json", {"padding": {"direction": "Left"}}, "its padding begins at the left"),
        ("tokenizer_config.json", {"truncation_side": "left"}, "its truncation_side is left"),
        ("tokenizer_config.json", {"padding_side": "left"}, "its padding_side is left"),
    ],
)
def test_what_is_not_covered(folder, file, fields, gap):
    change_json(folder / file, **fields)
    assert coverage_of(folder) is None
    assert gap in find_gap(folder)


@pytest.mark.parametrize(
    ("fields", "gap"),
    [
        ({"normalizer": {"type": "NFKC"}}, "the normalizer NFKC"),
        ({"normalizer": {"type": "BertNormalizer", "clean_text": False}}, "leaves control characters"),
        ({"pre_tokenizer": {"type": "WhitespaceSplit"}}, "the pre_tokenizer WhitespaceSplit"),
        ({"pre_tokenizer": None}, "the pre_tokenizer None"),
        ({"model": {"type": "BPE", "vocab": {}}}, "is a BPE model"),
        ({"model": {"type": "WordPiece", "max_input_chars_per_word": 9, "vocab": {}}}, "has max_input_chars_per_word"),
        ({"model": {"type": "WordPiece", "unk_token": "?", "vocab": {}}}, "has the unknown piece ?"),
        ({"post_processor": {"type": "BertProcessing", "cls": ["[SEP]", 3], "sep": ["[CLS]", 2]}},
         "does not put [CLS] and [SEP] around a text"),
        ({"post_processor": None}, "does not put [CLS] and [SEP] around a text"),
    ],
)  # fmt: skip
def test_a_tokenizer_that_its_class_builds_otherwise(folder, fields, gap):
    """transformers takes only the vocabulary from its file."""
    marks = [{"content": mark} for mark in ("[UNK]", "[CLS]", "[SEP]")]
    change_json(folder / "tokenizer_config.json", tokenizer_class="BertTokenizer", unk_token="[UNK]")
    change_json(folder / "tokenizer.json", **PIECES, added_tokens=marks)
    assert find_gap(folder) == ""
    change_json(folder / "tokenizer.json", **fields)
    assert gap in find_gap(folder)


@pytest.mark.parametrize(
    ("splitters", "tokens", "gap"),
    [
        ([SPACES, METASPACE], {}, ""),
        ([SPACES, {**METASPACE, "prepend_scheme": "first"}], {}, "a mark before each word"),
        ([SPACES, METASPACE], {"add_prefix_space": False}, "a mark before each word"),
        ([METASPACE], {}, "a mark before each word"),
    ],
)
def test_how_unigrams_are_split(folder, splitters, tokens, gap):
    change_json(folder / "tokenizer_config.json", tokenizer_class="XLMRobertaTokenizer", **tokens)
    processor = {"type": "BertProcessing", "cls": ["<s>", 0], "sep": ["</s>", 2]}
    model = {"type": "Unigram", "unk_id": 3, "vocab": []}
    splitter = {"type": "Sequence", "pretokenizers": splitters}
    change_json(folder / "tokenizer.json", pre_tokenizer=splitter, post_processor=processor, model=model)
    assert gap in find_gap(folder)
    assert bool(gap) == bool(find_gap(folder))
    change_json(folder / "tokenizer.json", model={**model, "unk_id": 5})
    assert find_gap(folder) == "its unknown piece is number 5"


def test_two_files_of_marks(folder):
    change_json(folder / "tokenizer.json", added_tokens=[{"content": "[CLS]"}, {"content": "[SEP]"}])
    change_json(folder / "tokenizer_config.json", cls_token="[CLS]")
    change_json(folder / "special_tokens_map.json", cls_token={"content": "[CLS]"})
    assert find_gap(folder) == ""
    change_json(folder / "special_tokens_map.json", cls_token="[SEP]")
    assert find_gap(folder) == "two of its files have another cls_token"


def test_a_vocabulary_that_does_not_come_last(folder):
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    model = tokenizer.pop("model")
    (folder / "tokenizer.json").write_text(json.dumps({"model": model, **tokenizer}))
    assert find_gap(folder) == "its configuration is unusual"
    (folder / "tokenizer.json").write_text(json.dumps({**tokenizer, "version": "x" * (2 << 20), "model": model}))
    assert find_gap(folder) == "its configuration is unusual"


def test_what_it_says_is_short(folder):
    change_json(folder / "config.json", model_type="x" * 9_000)
    assert len(find_gap(folder)) == 100


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_missing_file(folder, name):
    (folder / name).unlink()
    assert find_gap(folder) == f"it has no {name}"


def test_other_modules(folder):
    add_module(folder, "LSTM")
    assert find_gap(folder) == "its modules are Transformer, Pooling, LSTM"


def test_no_warning_of_a_covered_model(folder, run, write, caplog):
    with caplog.at_level(logging.WARNING):
        assert run("index", write("x.yaml", "- {title: moon}\n"), "--model", folder).code == 0
    assert "sentence-transformers" not in caplog.text


@pytest.mark.slow
def test_what_is_not_covered_says_so_once(workshop, tmp_path, run, write, monkeypatch):
    monkeypatch.setattr(trial, "try_out", lambda encoder, unless: None)  # in another process, which loads torch too
    folder = shutil.copytree(workshop("bert"), tmp_path / "m")
    change_json(folder / "config.json", hidden_act="relu6")
    gap = f"{folder} runs through sentence-transformers, which takes seconds to start: its activation is relu6"
    code, _, err = run("index", write("x.yaml", "- {title: moon}\n"), "--model", folder)
    assert (code, err.count(gap)) == (0, 1)
    assert "takes seconds" not in run("index", write("x.yaml", "- {title: moon}\n- {title: sea}\n")).err
