"""Without torch: attnsearch-light is the same package, and what needs torch is refused in one line.

`make light` installs it for real, in a minute.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tomllib
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from attnsearch import __version__
from attnsearch.encoding import loading, sbert, trial
from attnsearch.encoding.fast import FastEncoder
from attnsearch.errors import ModelError
from attnsearch.indexing import update
from tests.documents import ROOT
from tests.encoding.tiny import bert, change_json
from tests.test_dependencies import DIRECT, EXTRAS

HEAVY = ("sentence_transformers", "torch", "transformers", "sklearn")
BLOCK = f"import sys; sys.modules |= dict.fromkeys({HEAVY})"  # None there: an import fails, and nothing is found

NEEDS = "needs sentence-transformers and torch; pip install sentence-transformers, or "


@pytest.fixture
def blocked(monkeypatch):
    for name in HEAVY:
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def covered(tmp_path) -> Path:
    return bert(tmp_path / "covered")


@pytest.fixture
def uncovered(tmp_path) -> Path:
    folder = bert(tmp_path / "uncovered")
    change_json(folder / "config.json", model_type="mamba")  # which has no attention
    return folder


class TestEncoders:
    def test_nothing_is_installed(self, blocked):
        assert not sbert.is_installed()
        assert not sbert.is_bfloat16_fast()

    @pytest.mark.parametrize("missing", ["torch", "sentence_transformers"])
    def test_one_of_them_is_not_enough(self, monkeypatch, missing):
        assert sbert.is_installed()
        monkeypatch.setitem(sys.modules, missing, None)
        assert not sbert.is_installed()

    def test_however_much_there_is_to_embed_numpy_does_it(self, blocked, covered):
        encoder = loading.load(str(covered))
        assert isinstance(encoder, FastEncoder)
        assert encoder.suited(10**9) is encoder

    def test_a_model_that_numpy_does_not_run(self, blocked, uncovered):
        encoder = loading.load(str(uncovered))
        for action in (
            lambda: encoder.encode(["moon"]),
            lambda: encoder.window,
            lambda: trial.try_out(encoder, unless=lambda identity: False),
        ):
            with pytest.raises(
                ModelError, match="uncovered: this model needs sentence-transformers and torch: its network is mamba"
            ) as caught:
                action()
            assert (
                caught.value.hint == "pip install sentence-transformers, or use another model: attnsearch docs encoders"
            )

    def test_bfloat16(self, blocked, covered):
        with pytest.raises(ModelError, match="covered: bfloat16 needs") as caught:
            loading.load(str(covered)).suited(0, "bfloat16").encode(["moon"])
        assert caught.value.hint == "pip install sentence-transformers, or index in float32, which needs neither"

    def test_a_broken_torch(self, monkeypatch, uncovered, tmp_path):
        """It is there, but its import fails, as with a library that the system lacks."""
        (tmp_path / "torch.py").write_text("raise OSError('libcudart.so.13: no such file')")
        for name in [name for name in sys.modules if name.partition(".")[0] in HEAVY]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(ModelError, match=r"uncovered: sentence-transformers can't be imported: libcudart\.so\.13"):
            loading.load(str(uncovered)).encode(["moon"])


def test_a_catalog_that_torch_made(run, write, covered, monkeypatch):
    """It can't be asked, but all the rest works."""
    monkeypatch.setattr(trial, "try_out", lambda encoder, unless: None)
    monkeypatch.setattr(update, "_is_quick", lambda *whatever: False)
    assert run("index", write("shop.yaml", "- {title: moon}\n"), "--model", covered).code == 0
    for name in HEAVY:
        monkeypatch.setitem(sys.modules, name, None)
    code, out, err = run("query", "moon", "-c", "shop")
    assert (code, out, err.count("\n"), NEEDS in err) == (4, "", 1, True)
    for command in ("check shop", "info shop", "list", "remove shop --yes"):
        assert run(*command.split()).code == 0


@pytest.mark.slow
@pytest.mark.real
class TestCommands:
    """Whole processes, as the trial of a model is one too."""

    @pytest.fixture
    def attnsearch(self, tmp_path, write):
        write("patches/sitecustomize.py", BLOCK)
        write("shop.yaml", "- {title: moon}\n- {title: sea}\n")
        paths = [str(tmp_path / "patches"), *os.environ.get("PYTHONPATH", "").split(os.pathsep), str(ROOT)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}

        def run(*argv: str) -> subprocess.CompletedProcess:
            command = [sys.executable, "-m", "attnsearch", *map(str, argv)]
            return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

        return run

    def test_the_default_model(self, attnsearch, tmp_path):
        for command in (
            "index shop.yaml -q",
            "check shop",
            "explain moon -c shop",
            "query moon -c shop -k 1 -f tsv",
        ):
            ran = attnsearch(*command.split())
            assert ran.returncode == 0, command + ran.stderr
        assert "moon" in ran.stdout
        (keys,) = Path(os.environ["ATTNSEARCH_HOME"]).glob("shop/segments/*.npy")
        keys.write_bytes(b"")
        assert attnsearch("check", "shop").returncode == 3
        ran = attnsearch("check", "shop", "--repair")
        assert ran.returncode == 0, ran.stderr

    def test_a_folder_that_numpy_runs(self, attnsearch, covered):
        assert attnsearch("index", "shop.yaml", "--model", covered).returncode == 0
        assert attnsearch("query", "moon", "-c", "shop").returncode == 0

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--model", "./uncovered"), "uncovered: this model needs"),
            (("--head", "./uncovered"), "uncovered: this model needs"),
            (("--precision", "bfloat16"), "all-MiniLM-L6-v2: bfloat16 needs"),
        ],
    )
    def test_what_is_refused(self, attnsearch, uncovered, options, message):
        ran = attnsearch("index", "shop.yaml", *options)
        assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (4, "", 1)
        assert message in ran.stderr
        assert "pip install sentence-transformers" in ran.stderr
        assert "shop" not in attnsearch("list", "-q").stdout


def load_script():
    spec = importlib.util.spec_from_file_location("light", ROOT / ".ci" / "light.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestDistribution:
    def test_its_project_file(self):
        script = load_script()
        text = (ROOT / "pyproject.toml").read_text()
        before, after = tomllib.loads(text), tomllib.loads(script.convert(text))
        heavy = [line for line in before["project"]["dependencies"] if Requirement(line).name in script.HEAVY]
        assert len(heavy) == len(script.HEAVY) == 2
        project = before["project"] | {
            "name": "attnsearch-light",
            "dependencies": [line for line in before["project"]["dependencies"] if line not in heavy],
            "optional-dependencies": {extra: EXTRAS[extra] for extra in script.EXTRAS},
        }
        assert after == before | {"project": project}

    @pytest.mark.slow
    def test_what_is_built(self, tmp_path):
        """A source distribution and a wheel: the same files as in the wheel of attnsearch, but for other needs."""
        load_script().write(tmp_path / "light")
        for folder, out in ((ROOT, "full"), (tmp_path / "light", "out")):
            argv = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path / out)]
            subprocess.run(
                [*argv, *(["-t", "wheel"] if out == "full" else [])], cwd=folder, check=True, capture_output=True
            )
        assert len(list((tmp_path / "out").glob("attnsearch_light-*.tar.gz"))) == 1
        contents = []
        for out in ("full", "out"):
            (path,) = (tmp_path / out).glob("*.whl")
            with zipfile.ZipFile(path) as wheel:
                named = {name.replace("attnsearch_light-", "attnsearch-"): name for name in wheel.namelist()}
                contents.append({short: wheel.read(name) for short, name in named.items()})
        full, light = contents
        info = f"attnsearch-{__version__}.dist-info"
        assert [name for name in full if full[name] != light.get(name)] == [f"{info}/METADATA", f"{info}/RECORD"]
        assert full.keys() == light.keys()
        metadata = BytesParser().parsebytes(light[f"{info}/METADATA"])
        needed = {Requirement(line).name for line in metadata.get_all("Requires-Dist") if "extra" not in line}
        assert metadata["Name"] == "attnsearch-light"
        assert needed == {requirement.name for requirement in DIRECT} - {"sentence-transformers", "torch"}
