"""None of these: which statistic of a query's cosines tells best that a catalog has nothing for it; the null key's fit.

Each judged set's own queries are those that its items answer; the other sets' queries, and gibberish, are those that
nothing answers. Everything is fitted on four sets and tried on the fifth.
"""

from __future__ import annotations

import itertools
import random
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.null_key import evidence
from attnsearch.encoding import loading, passages
from benchmarks.measure import DATA, SETS, heading, judged, table

Floats = NDArray[np.float64]

SCALE = 20  # 1 / 0.05
PROBES = 200  # items that a catalog's background is measured with
SIZES = (10, 30, 100, 300, 1000)  # of catalogs cut out of a set
CUTS = 5  # of each size
EACH = 20  # queries of a kind of gibberish
OURS = "mean and best"

_STOP = "a about and are as at be but by for from how if in is it of on or so that the then there this to was what who"
_WORDS = (
    "umbrella gravel violin tax whisper marble ladder Tuesday goose velvet engine lawn purple anchor thirteen "
    "cough balcony glue parade sleepy tunnel button frost dentist kite ledger swim carpet obvious magnet hurry "
    "pillow north zebra rumor candle bicycle shrug puddle elbow wedding gallop rust lottery mitten quietly planet "
    "stapler envy harbor ticket brittle yawn orbit plumber sandal echo trophy blink"
)
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_SYLLABLES = (
    "lor um ip sit am et con dol sec tetur qui nis",
    "ka lo ta mi nen sä ryö hki puu vä",
    "бра ква мур лык зю хря дын гло пше",
    "κα λο πι θρα μνη ξε ψου φτι",
)


class Catalog(NamedTuple):
    """Embedded items: keys (n_keys, d), and the first key of each item."""

    keys: NDArray[np.float32]
    begins: NDArray[np.int64]

    def logits(self, x: NDArray[np.float32]) -> Floats:
        """cosine / 0.05 of queries x (m, d) and each item's best passage: (m, n)."""
        return SCALE * np.maximum.reduceat((x @ self.keys.T).astype(np.float64), self.begins, axis=1)

    def some(self, items: NDArray[np.int64]) -> Catalog:
        """The same with only those items."""
        ends = np.append(self.begins[1:], len(self.keys))
        rows = [np.arange(self.begins[item], ends[item]) for item in items]
        return Catalog(self.keys[np.concatenate(rows)], np.cumsum([0, *(len(row) for row in rows[:-1])]))


class Tried(NamedTuple):
    """Queries put to a catalog: the statistics of each, whether nothing answers it, where it is from, and its share."""

    values: dict[str, Floats]
    none: NDArray[np.bool_]
    source: NDArray[np.str_]
    share: Floats


class Sets(NamedTuple):
    """All sets embedded: their items, their queries, which items answer which query; and gibberish."""

    catalogs: dict[str, Catalog]
    queries: dict[str, NDArray[np.float32]]
    answers: dict[str, list[NDArray[np.int64]]]


def main() -> None:
    """Print the tables."""
    if not DATA.is_dir():
        raise SystemExit("the judged data is not here")
    heading("None of these")
    sets = embed()
    whole = {name: [tried(sets, name, sets.catalogs[name])] for name in SETS}
    among = {name: list(_among(sets, name)) for name in SETS}
    cuts = {size: {name: list(_cuts(sets, name, size)) for name in SETS} for size in SIZES}
    names = list(whole[SETS[0]][0].values)

    print("The area under the ROC curve:\n")
    single = [name for name in names if whole[SETS[0]][0].values[name].shape[1] == 1]
    rows = [[name, *(_auc(whole[held][0], name) for held in SETS)] for name in single]
    table(("statistic", *SETS, "mean"), [[*row, statistics.mean(row[1:])] for row in rows])

    print("Balanced accuracy at .5 and calibration error, fitted to the other four sets:\n")
    rows = []
    for name in names:
        found = {held: leave_out(whole, held, name, whole) for held in SETS}
        right = [_accuracy(found[held], whole[held]) for held in SETS]
        wrong = [_calibration(found[held], whole[held]) for held in SETS]
        together = _calibration(
            list(itertools.chain.from_iterable(found.values())), list(itertools.chain.from_iterable(whole.values()))
        )
        cells = (statistics.mean(right), min(right), together, max(wrong))
        rows.append([name, *(f"{cell:.3f}" for cell in (*right, *cells))])
    table(("statistic", *SETS, "mean", "least", "calibration error, together", "of the worst set"), rows)

    print("The same by the size of the catalog: cut out of the set, the set, the set among the others' items:\n")
    rows = []
    for name in names:
        row = []
        for places in (*cuts.values(), whole, among):
            right = [_accuracy(leave_out(whole, held, name, places), places[held]) for held in SETS if places[held]]
            row.append(f"{statistics.mean(right):.3f} ({min(right):.2f})")
        rows.append([name, *row])
    table(("mean (least)", *(str(size) for size in SIZES), "the set", "among others"), rows)

    print(f"How many are told that there is nothing, by {OURS}, left out:\n")
    kinds = ["own", *SETS, *gibberish()]
    rows = []
    for held in SETS:
        (chance,), (asked,) = leave_out(whole, held, OURS, whole), whole[held]
        rates = {kind: np.mean(chance[asked.source == kind] > 0.5) for kind in set(asked.source.tolist())}
        rows.append([held, *(f"{rates[kind]:.0%}" if kind in rates else "" for kind in kinds)])
    table(("set", *kinds), rows)

    b, a = fit([whole[name][0] for name in SETS], OURS)
    print(f"Fitted to all five sets: NullKey(logit={-b:.2f}, sharpness={a:.2f}), for {loading.load().model.sha256}")


def gibberish(seed: int = 7) -> dict[str, list[str]]:
    """Queries that nothing answers, by kind; the same each time."""
    rng = random.Random(seed)

    def word(letters: str, least: int, most: int) -> str:
        return "".join(rng.choice(letters) for _ in range(rng.randint(least, most)))

    def mash() -> str:
        row = rng.choice(_ROWS)
        start = rng.randrange(len(row) - 3)
        run = row[start : start + rng.randint(3, 6)]
        return "".join(rng.sample(run, len(run))) * rng.randint(1, 2)

    def foreign() -> str:
        syllables = rng.choice(_SYLLABLES).split()
        return several(lambda: "".join(rng.choice(syllables) for _ in range(rng.randint(2, 4))), 5)

    def several(make: Callable[[], str], most: int) -> str:
        return " ".join(make() for _ in range(rng.randint(1, most)))

    kinds: dict[str, Callable[[], str]] = {
        "letters": lambda: several(lambda: word("abcdefghijklmnopqrstuvwxyz", 3, 10), 5),
        "keyboard": lambda: several(mash, 5),
        "digits": lambda: several(lambda: word("0123456789", 1, 8), 4),
        "marks": lambda: several(lambda: word("!?.,;:-_#%&/()=+*~<>|@$^", 1, 5), 4),
        "stop words": lambda: " ".join(rng.choice(_STOP.split()) for _ in range(rng.choice((1, 1, 1, 2, 4)))),
        "word salad": lambda: " ".join(rng.sample(_WORDS.split(), rng.randint(2, 6))),
        "syllables": foreign,
    }
    return {kind: [make() for _ in range(EACH)] for kind, make in kinds.items()}


def embed() -> Sets:
    """All of it, by the default encoder: a quarter of an hour on two cores."""
    read = loading.load()
    catalogs, queries, answers = {}, {}, {}
    for name in SETS:
        items, titles, asked, grades = judged(name)
        parts = [passages.split_passages(read, title, text) for title, text in zip(titles, items, strict=True)]
        keys = read.encode([passage.text for found in parts for passage in found])
        catalogs[name] = Catalog(keys, np.cumsum([0, *(len(found) for found in parts[:-1])]))
        queries[name] = read.encode(asked, "query")
        right = [[item for item, grade in grades.get(at, {}).items() if grade > 0] for at in range(len(asked))]
        answers[name] = [np.array(found, np.int64) for found in right]
    queries.update({kind: read.encode(texts, "query") for kind, texts in gibberish().items()})
    return Sets(catalogs, queries, answers)


def tried(
    sets: Sets, name: str, catalog: Catalog, own: Iterable[int] | None = None, off: Iterable[str] = SETS
) -> Tried:
    """A set's queries, or some, and those that nothing answers, put to a catalog.

    Both halves count the same; of those that nothing answers each other set, and all gibberish, counts the same.
    """
    asked = {"own": sets.queries[name] if own is None else sets.queries[name][list(own)]}
    share = {"own": 0.5}
    others = [other for other in off if other != name]
    for source in others:
        share[source] = 0.5 / (len(others) + 1)
    for kind in gibberish():
        share[kind] = 0.5 / (len(others) + 1) / len(gibberish())
    asked.update({source: sets.queries[source] for source in share if source != "own"})
    x = np.concatenate(list(asked.values()))
    source = np.repeat(list(asked), [len(part) for part in asked.values()])
    shares = np.concatenate([np.full(len(part), share[kind] / len(part)) for kind, part in asked.items()])
    return Tried(measure(catalog, x), source != "own", source, shares)


def measure(catalog: Catalog, x: NDArray[np.float32]) -> dict[str, Floats]:
    """What is compared, (m, some) for queries x (m, d), in logits.

    The background is what the same statistic is of the catalog's own items, put to all the others.
    """
    z = catalog.logits(x)
    n = z.shape[1]
    probes = np.random.default_rng(n).choice(n, min(PROBES, n), replace=False)
    own = catalog.logits(catalog.keys[catalog.begins[probes]])
    own[np.arange(len(probes)), probes] = -np.inf
    best, mean, probe_best = z.max(axis=1), _log_sum(z) - np.log(n), own.max(axis=1)
    probe_mean = _log_sum(own) - np.log(n - 1)
    weights = np.exp(z - _log_sum(z)[:, None])
    found = {
        "highest cosine": (best,),
        "log-mean-exp": (mean,),
        OURS: (evidence(best, _log_sum(z), np.full(len(z), n)),),
        "mean cosine, by weight": ((weights * z).sum(axis=1),),
        "highest and log-mean-exp": (best, mean),
        "highest − background": (best - probe_best.mean(),),
        "log-mean-exp − background": (mean - probe_mean.mean(),),
        "highest, z-score": ((best - probe_best.mean()) / probe_best.std(),),
        "log-mean-exp, z-score": ((mean - probe_mean.mean()) / probe_mean.std(),),
        "log-mean-exp ÷ background": (mean / probe_mean.mean(),),
        "log-mean-exp, highest − background": (mean, best - probe_best.mean()),
        "log-mean-exp, highest's z-score": (mean, (best - probe_best.mean()) / probe_best.std()),
    }
    return {name: np.stack(columns, axis=1) for name, columns in found.items()}


def fit(parts: Iterable[Tried], name: str) -> Floats:
    """The logistic function of a statistic that gives the chance that something is there: Newton's method.

    Constant first, then a slope for each of the statistic's columns.
    """
    parts = list(parts)
    x = np.concatenate([part.values[name] for part in parts])
    there = ~np.concatenate([part.none for part in parts])
    share = np.concatenate([part.share for part in parts]) / len(parts)
    mean, spread = x.mean(axis=0), x.std(axis=0)
    x = np.column_stack([np.ones(len(x)), (x - mean) / spread])
    found = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ found))
        found += np.linalg.solve((x * (share * p * (1 - p))[:, None]).T @ x, x.T @ (share * (there - p)))
    slopes = found[1:] / spread
    return np.array([found[0] - slopes @ mean, *slopes])


def leave_out(
    whole: Mapping[str, list[Tried]], held: str, name: str, places: Mapping[str, list[Tried]]
) -> list[Floats]:
    """The chance that nothing is there, for all that was tried with the set `held`, fitted to the other sets whole."""
    constant, *slopes = fit([whole[other][0] for other in SETS if other != held], name)
    return [1 / (1 + np.exp(constant + part.values[name] @ slopes)) for part in places[held]]


def _cuts(sets: Sets, name: str, size: int) -> Iterator[Tried]:
    """Catalogs of so many of a set's items, half of them, if there are as many, being answers to some query of it."""
    rng = np.random.default_rng(size)
    answers, n = sets.answers[name], len(sets.catalogs[name].begins)
    for _ in range(CUTS if size < n else 0):
        asked = rng.permutation([at for at, right in enumerate(answers) if len(right)])[: size // 2]
        right = np.unique([rng.choice(answers[at]) for at in asked])
        rest = np.setdiff1d(np.arange(n), right)
        items = np.sort(np.concatenate([right, rng.choice(rest, size - len(right), replace=False)]))
        own = [at for at, found in enumerate(answers) if np.isin(found, items).any()]
        yield tried(sets, name, sets.catalogs[name].some(items), own)


def _among(sets: Sets, name: str) -> Iterator[Tried]:
    """Catalogs of all sets' items but one's, whose queries are those that nothing answers."""
    for other in SETS:
        if other != name:
            parts = [sets.catalogs[part] for part in SETS if part != other]
            heads = np.cumsum([0, *(len(part.keys) for part in parts[:-1])])
            begins = np.concatenate([part.begins + head for part, head in zip(parts, heads, strict=True)])
            yield tried(sets, name, Catalog(np.concatenate([part.keys for part in parts]), begins), off=[other])


def _accuracy(chances: list[Floats], parts: list[Tried]) -> float:
    """Balanced: half of it from queries that are answered, half from the others."""
    found = [part.share @ ((chance > 0.5) == part.none) for chance, part in zip(chances, parts, strict=True)]
    return statistics.mean(found)


def _calibration(chances: list[Floats], parts: list[Tried], bins: int = 10) -> float:
    """The mean gap between the chance and how often it was so, over bins of equal width (Guo et al. 2017)."""
    chance = np.concatenate(chances)
    none = np.concatenate([part.none for part in parts])
    share = np.concatenate([part.share for part in parts]) / len(parts)
    place = np.minimum((chance * bins).astype(int), bins - 1)
    return sum(abs(share[place == at] @ (chance - none)[place == at]) for at in range(bins))


def _auc(part: Tried, name: str) -> float:
    """The chance that a query that is answered has more of a statistic of one column than one that is not."""
    there, none = (np.sort(part.values[name][part.none == which, 0]) for which in (False, True))
    weight = part.share[part.none][np.argsort(part.values[name][part.none, 0])]
    below = np.concatenate([[0.0], np.cumsum(weight)]) / weight.sum()
    return float(np.mean([below[np.searchsorted(none, there, side)] for side in ("left", "right")]))


def _log_sum(z: Floats) -> Floats:
    """log Σ exp z over each row."""
    best = z.max(axis=1)
    return best + np.log(np.exp(z - best[:, None]).sum(axis=1))


if __name__ == "__main__":
    main()
