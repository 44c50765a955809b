"""Which files of a model's folder count, which are refused, and which configurations ask for code."""

from __future__ import annotations

import json
import os
import pickle

import pytest

from attnsearch.encoding import loading
from attnsearch.encoding.fast import FastEncoder
from attnsearch.errors import ModelError
from attnsearch.models import trust
from tests.encoding.tiny import bert, change_json


@pytest.fixture
def folder(tmp_path):
    return bert(tmp_path / "m")


def names(folder) -> list[str]:
    return list(trust.list_files(folder))


FILES = [
    "1_Pooling/config.json", "config.json", "model.safetensors", "modules.json", "sentence_bert_config.json",
    "tokenizer.json",
]  # fmt: skip


class TestFiles:
    def test_those_that_decide_the_vectors(self, folder):
        for name in ("README.md", ".gitattributes", ".cache/x.json", "onnx/model.onnx", "openvino/model.bin", "a.png",
                     "1_Pooling/old.pt", "optimizer.pkl", "pytorch_model.bin", "modeling.py"):  # fmt: skip
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(b"x")
        assert names(folder) == FILES

    def test_pickled_weights_where_there_are_no_others(self, folder):
        (folder / "2_Dense").mkdir()
        (folder / "2_Dense" / "pytorch_model.bin").write_bytes(b"x")
        assert names(folder) == sorted([*FILES, "2_Dense/pytorch_model.bin"])

    def test_pickled_weights_beside_others_that_nobody_reads(self, folder):
        """The libraries look for `model.safetensors` only, and then for pickles."""
        (folder / "model.safetensors").rename(folder / "other.safetensors")
        (folder / "pytorch_model.bin").write_bytes(b"x")
        assert {"other.safetensors", "pytorch_model.bin"} < set(names(folder))

    def test_a_folder_with_the_name_of_a_file(self, folder):
        (folder / "1_Pooling").rename(folder / "pooling.md")
        assert "pooling.md/config.json" in names(folder)

    def test_links_lead_to_files(self, folder, tmp_path):
        """As in the Hugging Face cache."""
        (folder / "config.json").rename(tmp_path / "blob")
        (folder / "config.json").symlink_to(tmp_path / "blob")
        assert names(folder) == FILES

    @pytest.mark.parametrize("name", ["config.json", "1_Pooling/config.json", "model.safetensors", "unknown"])
    @pytest.mark.parametrize("kind", ["fifo", "device"])
    def test_what_is_no_file(self, folder, name, kind):
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name) if kind == "fifo" else (folder / name).symlink_to("/dev/zero")
        with pytest.raises(ModelError, match=f"{name}: is not a regular file"):
            names(folder)
        assert loading.coverage_of(folder) is None or name == "unknown"  # and it did not wait for the pipe

    @pytest.mark.parametrize(
        ("name", "limit"),
        [("config.json", trust.CONFIG), ("modules.json", trust.CONFIG), ("tokenizer.json", trust.LARGEST)],
    )
    def test_a_file_that_is_too_large(self, folder, name, limit):
        os.truncate(folder / name, limit)
        assert names(folder) == FILES
        os.truncate(folder / name, limit + 1)
        with pytest.raises(ModelError, match=f"{name}: has more than {limit >> 20} MiB"):
            names(folder)

    def test_weights_have_no_limit(self, folder):
        os.truncate(folder / "model.safetensors", trust.LARGEST + 1)
        assert names(folder) == FILES

    def test_a_folder_that_is_no_models(self, folder):
        for number in range(trust.FILES):
            (folder / f"{number}.md").touch()
        with pytest.raises(ModelError, match="more than 1,000 files: it is not a model's folder"):
            names(folder)

    def test_a_folder_in_itself(self, folder):
        (folder / "loop").symlink_to(folder)
        with pytest.raises(ModelError):
            names(folder)

    def test_a_large_configuration_is_not_read(self, folder, monkeypatch):
        os.truncate(folder / "config.json", trust.CONFIG + 1)
        monkeypatch.setattr(trust.Path, "read_text", lambda *_, **options: pytest.fail("it was read"))
        with pytest.raises(ValueError, match="of a configuration's size"):
            trust.read_config(folder / "config.json")


def module(**members) -> dict[str, str]:
    return {"idx": "0", "name": "0", "path": "", "type": "sentence_transformers.models.Transformer", **members}


MODULES = [
    (module(type="modeling.Evil"), "the module type modeling.Evil is not of sentence-transformers"),
    (module(type="modeling.Transformer"), "the module type modeling.Transformer is not of sentence-transformers"),
    (module(type="os.system"), "the module type os.system is not"),
    (module(type="sentence_transformersx.Evil"), "the module type sentence_transformersx.Evil is not"),
    (module(type="sentence_transformers.models.Transformer.evil"), "the module type .*evil is not of sentence"),
    (module(type="sentence_transformers.evil.Transformer"), "the module type .*evil.Transformer is not of sentence"),
    (module(type="sentence_transformers.util.misc.Transformer"), "the module type .* is not of sentence"),
    (module(type="sentence_transformers.models.x.y.Transformer"), "the module type .* is not of sentence"),
    (module(type="sentence_transformers.models.os.system"), "the module type .* is not of sentence"),
    (module(type="sentence_transformers.base.modules.transformer.importlib"), "the module type .* is not of sentence"),
    (module(type="sentence_transformers.models.Transformer\n"), "is not of sentence-transformers"),
    (module(type=None), "the module type None is not"),
    (module(path="../other"), "the module path ../other is not a folder of the model"),
    (module(path="1/../../other"), "is not a folder of the model"),
    (module(path="/etc"), "the module path /etc is not a folder of the model"),
    *(
        (module(path=path), f"the module path {path} is not a folder of the model")
        for path in ("onnx", "openvino/1", "coreml", "__pycache__", "Onnx")
    ),  # whose files are left out
    (module(path=7), "the module path 7 is not a folder of the model"),
    (7, "is not a list of modules"),
]

CONFIGS = [
    ("config.json", {"auto_map": {"AutoModel": "modeling.Evil"}}, "asks for code: auto_map"),
    ("config.json", {"text_config": {"auto_map": {"AutoModel": "a/b--modeling.Evil"}}}, "asks for code: auto_map"),
    ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["t.Evil", None]}}, "asks for code: auto_map"),
    ("config.json", {"custom": ["modeling.py"]}, r"names the program modeling\.py"),
    ("config.json", {"_attn_implementation": "someone/kernel"}, "asks for code: _attn_implementation"),
    ("sentence_bert_config.json", {"model_args": {"trust_remote_code": True}}, "asks for code: trust_remote_code"),
    ("sentence_bert_config.json", {"model_args": {"weights_only": False}}, "asks for code: weights_only"),
    ("sentence_bert_config.json", {"tokenizer_name_or_path": "other/model"}, "outside the folder: tokenizer_name"),
    ("1_Pooling/config.json", {"auto_map": {"a": "b.C"}}, "asks for code: auto_map"),
    ("router_config.json", {"types": {"a": "modeling.Evil"}}, "the module type modeling.Evil is not"),
    (
        "router_config.json",
        {"types": {"a": "sentence_transformers.base.model.BaseModel"}},
        r"the module type .*\.BaseModel is not",
    ),
    ("2_Dense/config.json", {"activation_function": "os.system"}, "asks for code: activation_function"),
    ("2_Dense/config.json", {"activation_function": "torch.utils.bottleneck"}, "asks for code: activation_function"),
    ("2_Dense/config.json", {"activation_function": "modeling.Evil"}, "asks for code: activation_function"),
    ("0_Words/config.json", {"tokenizer_class": "modeling.Evil"}, "asks for code: tokenizer_class"),
    ("0_Words/config.json", {"tokenizer_class": "sentence_transformers.util.x.Y"}, "asks for code: tokenizer_class"),
    (
        "sentence_bert_config.json",
        {"modality_config": {"text": {"method": "push_to_hub", "method_output_name": "x"}}},
        "asks for the method push_to_hub",
    ),
    ("router_config.json", {"types": {"../a": "sentence_transformers.models.Pooling"}}, r"module path \.\./a is not"),
    ("router_config.json", {"types": {"onnx": "sentence_transformers.models.Pooling"}}, "the module path onnx is not"),
    (
        "sentence_bert_config.json",
        {"tokenizer_args": {"tokenizer_file": "/x.json"}},
        "other files .*: tokenizer_file",
    ),
    ("sentence_bert_config.json", {"processor_kwargs": {"vocab_file": "../x"}}, "other files .*: vocab_file"),
    (
        "sentence_bert_config.json",
        {"config_args": {"_configuration_file": "x"}},
        "other files .*: _configuration_file",
    ),
    ("sentence_bert_config.json", {"model_args": {"gguf_file": "x.gguf"}}, "other files .*: gguf_file"),
    ("sentence_bert_config.json", {"model_kwargs": {"variant": "other"}}, "other files .*: variant"),
    ("sentence_bert_config.json", {"model_args": {"use_safetensors": False}}, "other files .*: use_safetensors"),
    ("1_Pooling/config.json", {"path": "/elsewhere/idf.json"}, "outside the folder: path"),
    ("adapter_config.json", {"base_model_name_or_path": "x"}, "an adapter over another model"),
]


class TestCode:
    """Refused before anything is loaded: by the command, and by an encoder that someone makes in Python."""

    def refused(self, folder, match):
        with pytest.raises(ModelError, match=match) as caught:
            trust.check_configs(folder, trust.list_files(folder))
        assert str(folder) in caught.value.message
        with pytest.raises(ModelError, match=match):
            _ = loading.load(str(folder)).model.identity
        with pytest.raises(ModelError, match=match):
            loading.load(str(folder), quick=False).encode(["moon"])

    @pytest.mark.parametrize(("entry", "match"), MODULES)
    def test_modules(self, folder, entry, match):
        (folder / "modules.json").write_text(
            json.dumps([entry, *json.loads((folder / "modules.json").read_text())[1:]])
        )
        assert not isinstance(loading.load(str(folder)), FastEncoder)
        self.refused(folder, match)

    @pytest.mark.parametrize(("file", "members", "match"), CONFIGS)
    def test_configurations(self, folder, file, members, match):
        (folder / file).parent.mkdir(exist_ok=True)
        change_json(folder / file, **members)
        self.refused(folder, match)

    @pytest.mark.parametrize(
        "file", ["../other.safetensors", "/other.safetensors", "onnx/1.safetensors", ".1.safetensors"]
    )
    @pytest.mark.parametrize("kind", ["model.safetensors", "pytorch_model.bin"])
    def test_weights_elsewhere(self, folder, file, kind):
        (folder / "onnx").mkdir()
        for name in ("model.safetensors", "onnx/1.safetensors", ".1.safetensors"):
            (folder / name).write_bytes(b"x")
        (folder / "model.safetensors").rename(folder / "1.safetensors")
        change_json(folder / f"{kind}.index.json", weight_map={"a": "1.safetensors", "b": file})
        self.refused(folder, f"{kind}.index.json: it names weights that are not in the folder: {file}")

    @pytest.mark.parametrize("content", ["[]", "{}", '{"weight_map": []}'])
    def test_what_is_not_an_index(self, folder, content):
        (folder / "model.safetensors").rename(folder / "1.safetensors")
        (folder / "model.safetensors.index.json").write_text(content)
        self.refused(folder, r"model\.safetensors\.index\.json: is not a list of files with weights")

    def test_an_index_that_is_not_read(self, folder):
        """As the hub has them for pickles, beside weights in safetensors files."""
        change_json(folder / "pytorch_model.bin.index.json", weight_map={"a": "pytorch_model-1.bin"})
        assert len(loading.load(str(folder)).model.identity) == 64
        (folder / "model.safetensors").rename(folder / "1.safetensors")
        change_json(folder / "model.safetensors.index.json", weight_map={"a": "1.safetensors"})
        assert len(loading.load(str(folder)).model.identity) == 64

    def test_what_asks_for_nothing(self, folder):
        change_json(folder / "config.json", auto_map={}, _attn_implementation="sdpa", _name_or_path="nreimers/x")
        change_json(
            folder / "sentence_bert_config.json",
            tokenizer_name_or_path=None,
            model_args={"dtype": "float32", "use_safetensors": True, "gguf_file": None},
        )
        change_json(folder / "tokenizer_config.json", name_or_path="nreimers/x", tokenizer_class="BertTokenizer")
        change_json(
            folder / "1_Pooling/config.json",
            activation_function="torch.nn.modules.activation.Tanh",
            tokenizer_class="sentence_transformers.models.tokenizer.WhitespaceTokenizer",
            modality_config={"text": {"method": "forward"}, "image": {"method": "get_image_features"}},
        )
        assert len(loading.load(str(folder)).model.identity) == 64

    @pytest.mark.parametrize("content", ["", "{", "[" * 100_000, "\ufeff{}"])
    def test_what_is_not_json(self, folder, content):
        (folder / "tokenizer_config.json").write_text(content)
        self.refused(folder, r"tokenizer_config\.json: is not valid JSON")

    @pytest.mark.parametrize("options", [["--model"], ["--head"]])
    def test_the_command(self, folder, run, write, tmp_path, options):
        """Exit 4 and a line; the program in the folder did not run."""
        (folder / "modeling.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
        (folder / "modules.json").write_text(json.dumps([module(type="modeling.Evil")]))
        code, out, err = run("index", write("x.yaml", "- {title: moon}\n"), *options, folder)
        assert (code, out, err.count("\n")) == (4, "", 1)
        assert "the module type modeling.Evil is not of sentence-transformers" in err
        assert not (tmp_path / "ran").exists()


class Evil:
    """A pickle of it creates a folder when it is read."""

    def __init__(self, path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["pytorch_model.bin", "2_Dense/pytorch_model.bin"])
def test_a_pickle_does_not_run(folder, tmp_path, place):
    """Both libraries read pickles with `weights_only`."""
    torch = pytest.importorskip("torch")
    evil = folder / place
    evil.parent.mkdir(exist_ok=True)
    torch.save({"linear.weight": Evil(tmp_path / "ran")}, evil, pickle_module=pickle)
    if place.startswith("2"):
        change_json(folder / "2_Dense/config.json", in_features=4, out_features=4)
        modules = json.loads((folder / "modules.json").read_text())
        dense = module(path="2_Dense", name="2", type="sentence_transformers.models.Dense")
        (folder / "modules.json").write_text(json.dumps([*modules, dense]))
    else:
        (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="can't be loaded as a sentence-transformers model"):
        loading.load(str(folder)).encode(["moon"])
    assert not (tmp_path / "ran").exists()
    torch.load(evil, weights_only=False)
    assert (tmp_path / "ran").exists()  # the pickle is what it says it is
