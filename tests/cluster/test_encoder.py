"""Texts that other processes embed: the same catalog, nothing twice, nothing from a process that computes otherwise."""

from __future__ import annotations

import itertools
import json
import pickle

import numpy as np
import pytest

from attnsearch.cluster import texts
from attnsearch.cluster.encoder import RemoteEncoder
from attnsearch.cluster.part import PROTOCOL
from attnsearch.cluster.texts import PROBES
from attnsearch.encoding import loading
from attnsearch.errors import AttnsearchError, CatalogError, InputError, ModelError
from attnsearch.indexing import embedding
from attnsearch.indexing.check import find_problems
from attnsearch.indexing.update import update
from attnsearch.indexing.writer import MissingText
from attnsearch.opening.index import Index
from tests.conftest import SmallEncoder
from tests.encoding import tiny


@pytest.fixture(autouse=True)
def _few_at_once(monkeypatch):
    monkeypatch.setattr(embedding, "CHUNK", 3)
    texts._loaded.clear()
    yield
    texts._loaded.clear()


@pytest.fixture
def source(write):
    words = itertools.cycle(["moon", "sea", "robot moon", "sea sea moon"])
    return write("many.jsonl", "".join(json.dumps({"id": n, "title": f"t{n} {next(words)}"}) + "\n" for n in range(20)))


class Workers:
    """A cluster that is this process: `ahead` tasks are drawn at once, and the last of them is done first.

    Tasks and answers go through bytes. `change` sees each answer before it is sent; after `stop` answers, the
    scheduler is gone.
    """

    def __init__(self, ahead: int = 4, change=lambda answered: answered, stop: int = 1_000) -> None:
        self.ahead = ahead
        self.change = change
        self.stop = stop
        self.tasks = 0
        self.is_closed = False

    def stream(self, function, tasks, describe):
        try:
            numbered = enumerate(tasks)
            while drawn := list(itertools.islice(numbered, self.ahead)):
                for number, task in reversed(drawn):
                    if self.tasks == self.stop:
                        raise CatalogError("the connection to the scheduler is lost")
                    self.tasks += 1
                    answered = function(pickle.loads(pickle.dumps(task)))
                    yield number, self.change(pickle.loads(pickle.dumps(answered)))
        finally:
            self.is_closed = True


def index(source, workers: Workers, **options):
    remote = RemoteEncoder(workers.stream)
    return update([str(source)], encode_batches=remote.encode_batches, **options), remote.shares


def vectors(name: str = "many"):
    with Index.open(name) as opened:
        return {place.item.title: opened.store.embeddings([key])[0] for key, place in
                enumerate(opened.store.spans_at(range(opened.store.size)))}  # fmt: skip


def own(encoder: SmallEncoder) -> list[str]:
    """What it embedded but for probes."""
    return [text for text in encoder.read if text not in PROBES]


def test_the_catalog_is_the_same(source, small, home):
    update([str(source)], name="alone")
    small.read.clear()
    workers = Workers()
    report, shares = index(source, workers)
    assert report.embedded == report.added == 20
    assert shares == (7, 1)
    assert len(own(small)) == len({*own(small)}) == 20
    alone, together = vectors("alone"), vectors()
    assert alone.keys() == together.keys()
    assert all(np.array_equal(alone[title], together[title]) for title in alone)
    assert workers.is_closed
    assert find_problems(home / "many") == []


def test_nothing_to_embed(source, small):
    index(source, Workers())
    workers = Workers()
    assert index(source, workers)[0].embedded == 0
    assert index(source, workers)[1] == (0, 0)
    assert workers.tasks == 0


@pytest.mark.parametrize("with_workers", [False, True])
def test_a_scheduler_that_is_gone(source, small, caplog, with_workers):
    """What came in is kept, and the next run embeds the rest, with or without workers."""
    with pytest.raises(CatalogError, match="the connection to the scheduler is lost"):
        index(source, Workers(stop=5))
    assert caplog.messages[-1] == "14 of 20 texts are kept, and the next run goes on from there"
    first = own(small)
    assert len(first) == 14
    small.read.clear()
    report = index(source, Workers())[0] if with_workers else update([str(source)])
    assert report.embedded == 6
    assert len(own(small)) == 6
    assert not {*own(small)} & {*first}
    assert len(vectors()) == 20


def test_an_interrupt(source, small, caplog, monkeypatch):
    workers = Workers()

    def interrupt(answered):
        if workers.tasks == 3:
            raise KeyboardInterrupt
        return answered

    workers.change = interrupt
    with pytest.raises(KeyboardInterrupt):
        index(source, workers)
    assert workers.is_closed
    assert caplog.messages[-1] == "6 of 20 texts are kept, and the next run goes on from there"


def with_probes(change):
    return lambda answered: {**answered, "probes": change(answered["probes"].copy())}


def with_x(change):
    return lambda answered: {**answered, "x": change(answered["x"].copy())}


def without(name):
    return lambda answered: {key: value for key, value in answered.items() if key != name}


def turn(x):
    return np.roll(x, 1, axis=1)


def spoil(x):
    x[-1, 0] = np.nan
    return x


WRONG = {
    "other vectors": (with_probes(turn), ModelError, "computes other vectors of the same texts, with the same files"),
    "no number": (with_probes(spoil), ModelError, "computes other vectors"),
    "no probes": (without("probes"), ModelError, "computes other vectors"),
    "another width": (with_probes(lambda x: x[:, 1:]), ModelError, "computes other vectors"),
    "one too few": (with_x(lambda x: x[1:]), CatalogError, "sent no valid answer: not 3 unit vectors of 4 numbers"),
    "another type": (with_x(lambda x: x.astype(float)), CatalogError, "sent no valid answer"),
    "lists": (with_x(lambda x: x.tolist()), CatalogError, "sent no valid answer"),
    "not unit": (with_x(lambda x: 2 * x), CatalogError, "sent no valid answer"),
    "NaN": (with_x(spoil), CatalogError, "sent no valid answer"),
    "nothing": (without("x"), CatalogError, "sent no valid answer"),
    "no answer": (lambda answered: None, CatalogError, "a worker sent no valid answer: it has no fields"),
    "no name": (
        without("worker"),
        CatalogError,
        "a worker sent no valid answer: it has no fields, or does not say who",
    ),
    "a list as its name": (lambda answered: {**answered, "worker": []}, CatalogError, "a worker sent no valid answer"),
    "masked": (with_x(lambda x: np.ma.array(x, mask=False)), CatalogError, "sent no valid answer"),
    "protocol": (lambda answered: {**answered, "protocol": 9}, InputError, f"speaks protocol 9, not {PROTOCOL}"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answers(source, small, caplog, name):
    """A worker that joined late, say, sends the third answer: what came before is kept, and nothing of this one."""
    change, kind, message = WRONG[name]
    workers = Workers()
    workers.change = lambda answered: change(answered) if workers.tasks == 3 else answered
    with pytest.raises(kind, match=message) as caught:
        index(source, workers)
    assert " worker " in str(caught.value)
    assert "6 of 20 texts are kept, and the next run goes on from there" in caplog.messages
    assert workers.is_closed
    assert update([str(source)]).embedded == 14


def test_another_model_there(source, small, monkeypatch):
    """The worker's files are others: its own hash says so, before it embeds anything."""
    workers = Workers()
    other = SmallEncoder(sha256="8" * 64)

    def load_other(*_args, **_options):
        monkeypatch.setattr(loading, "load", lambda *_args, **_options: other)
        return small

    monkeypatch.setattr(loading, "load", load_other)
    with pytest.raises(
        ModelError, match=r"the worker .+ can't embed: small: has other weights than here; copy the model there"
    ):
        index(source, workers)
    assert other.read == []


def test_a_model_that_is_not_there(source, write, tmp_path):
    folder = tiny.bert(tmp_path / "model")
    gone = tmp_path / "gone"

    def without_it(function, tasks, describe):
        folder.rename(gone)
        yield from Workers().stream(function, tasks, describe)

    remote = RemoteEncoder(without_it)
    with pytest.raises(ModelError, match=r"the worker .+ can't embed: .*model: no such folder; copy the model there"):
        update([str(source)], model=str(folder), encode_batches=remote.encode_batches)


@pytest.mark.parametrize("make", [tiny.bert, tiny.table])
def test_a_model_on_disk_with_prompts_and_fewer_dims(source, tmp_path, make):
    from attnsearch.models.use import Wanted

    folder = str(make(tmp_path / "model"))
    wanted = Wanted("sea: ", "robot: ", 2 if make is tiny.bert else None)
    update([str(source)], name="alone", model=folder, wanted=wanted)
    index(source, Workers(), model=folder, wanted=wanted)
    alone, together = vectors("alone"), vectors()
    assert all(np.allclose(alone[title], together[title], atol=1e-6) for title in alone)


def test_new_heads(source, two):
    """A head that a catalog did not have embeds its texts elsewhere, and no other does."""
    small, vowels = two
    update([str(source)])
    small.read.clear()
    report, shares = index(source, Workers(), heads=["vowels"])
    assert own(small) == []
    assert sorted(own(vowels)) == sorted([*vectors(), "a"])  # by which a head's width is measured
    assert report.embedded == 20
    assert shares.workers == 1
    together = vectors()
    update([str(source)], name="alone", heads=["vowels"])
    assert all(np.allclose(x, together[title], atol=1e-6) for title, x in vectors("alone").items())
    assert index(source, Workers())[1] == (0, 0)


def test_a_catalog_of_heads(source, two):
    index(source, Workers(), heads=["vowels=0.3"])
    update([str(source)], name="alone", heads=["vowels=0.3"])
    together = vectors()
    assert all(np.allclose(x, together[title], atol=1e-6) for title, x in vectors("alone").items())


def task_for(encoder, *read: str, **changes) -> dict:
    task = {"protocol": PROTOCOL, "heads": texts.describe_encoder(encoder), "offline": True, "role": "key"}
    return {**task, "texts": [*read], **changes}


def test_a_process_keeps_few_encoders(monkeypatch):
    """Each is loaded once, with its probes, and again when two others were used after it."""
    loads = []

    def load(name, **options):
        loads.append(name)
        assert options["remembered"]
        assert options["offline"]
        return SmallEncoder(name)

    monkeypatch.setattr(loading, "load", load)
    for name in ("a", "a", "b", "a", "c", "a", "b"):
        answered = texts.embed(task_for(SmallEncoder(name), "moon"))
        assert answered["x"].tolist() == [[1, 0, 0, 0]]
        assert answered["probes"].shape == (3, 4)
    assert loads == ["a", "b", "c", "b"]


def test_another_precision(monkeypatch, small):
    task = task_for(small, "moon")
    task["heads"][0]["precision"] = "bfloat16"
    assert texts.embed(task)["fault"] == "small: can't be run in bfloat16"


def test_a_task_of_another_protocol(small):
    assert texts.embed(task_for(small, "moon", protocol=0))["fault"] == f"it speaks protocol {PROTOCOL}, not 0"


def test_what_a_worker_did(small):
    assert texts.describe_work(task_for(small, "moon", "sea")) == "embedded 2 texts of 7 characters"


def test_long_texts_make_small_batches(write, small, monkeypatch):
    monkeypatch.setattr(embedding, "_SENT", 20)
    source = write(
        "many.jsonl", "".join(json.dumps({"id": n, "title": "moon sea " * 4 + f"{n}"}) + "\n" for n in range(6))
    )
    assert index(source, Workers())[1] == (6, 1)


def test_every_error_is_ours():
    assert all(issubclass(kind, AttnsearchError) for _, kind, _ in WRONG.values())


@pytest.mark.parametrize(("n", "sizes"), [(300, [128, 128, 44]), (12_800, [200] * 64), (70_000, [1_024] * 68 + [368])])
def test_the_size_of_batches(monkeypatch, n, sizes):
    """Few texts are shared by several workers, too, and many go in batches that are not too many."""

    class Texts:
        def missing_texts(self):
            return (MissingText(b"", "moon") for _ in range(n))

    monkeypatch.setattr(embedding, "CHUNK", 1_024)
    assert [len(batch) for batch in embedding._draw_batches(Texts(), {}, n)] == sizes


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_how_far_a_worker_may_be_off(source, small, precision):
    """Two kinds of processors may differ by more in bfloat16 than in float32."""
    small.precision = precision
    workers = Workers(change=with_probes(tilt))
    if precision == "bfloat16":
        assert index(source, workers)[1] == (7, 1)
    else:
        with pytest.raises(ModelError, match="computes other vectors"):
            index(source, workers)


def tilt(x):
    """Unit vectors whose cosine with x is .9999, about."""
    x[:, -2:] += 0.01
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.real
@pytest.mark.slow
def test_sentence_transformers_elsewhere(source, real):
    """A process loads what the driver has chosen for much text: the model in bfloat16, by torch."""
    index(source, Workers(), precision="bfloat16")
    ((encoder, _),) = texts._loaded.values()
    assert (encoder.quick, encoder.precision) == (False, "bfloat16")
    x = real.encode([*vectors()])
    assert (np.vecdot(x, [*vectors().values()]) > 0.999).all()
