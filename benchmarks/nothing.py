"""None of these: which statistic of a query's cosines best tells that a catalog has no answer; the null key's fit.

Each judged set's own queries count as answered by its items; the other sets' queries, and gibberish, count as not
answered. Everything is fitted to four sets and tested on the fifth; then to the catalogs that we ship, as
`attnsearch calibrate` does, and tested on all five.
"""

from __future__ import annotations

import itertools
import random
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnsearch.attention.null_key import FITTED, NullKey, evidence
from attnsearch.attention.projections import TEMPERATURE
from attnsearch.calibration import shipped
from attnsearch.calibration.fitting import fit as calibrate
from attnsearch.calibration.fitting import fit_null, fit_temperature, measure_evidence, measure_kl
from attnsearch.calibration.shipped import Cosines
from attnsearch.encoding import loading, passages
from attnsearch.encoding.encoder import Encoder
from benchmarks.measure import DATA, SETS, heading, judged, table

Floats = NDArray[np.float64]

SCALE = 20  # 1 / 0.05
PROBES = 200  # items that measure a catalog's background
SIZES = (10, 30, 100, 300, 1000)  # of catalogs cut out of a set
CUTS = 5  # of each size
EACH = 20  # queries of each kind of gibberish
OURS = "mean and best"
SQUEEZED = 3  # the square of a number that is added to every vector: cosines then lie between .71 and .92

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

    def subset(self, items: NDArray[np.int64]) -> Catalog:
        """A catalog of only these items."""
        ends = np.append(self.begins[1:], len(self.keys))
        rows = [np.arange(self.begins[item], ends[item]) for item in items]
        return Catalog(self.keys[np.concatenate(rows)], np.cumsum([0, *(len(row) for row in rows[:-1])]))


class Queries(NamedTuple):
    """Queries x (m, d) for a catalog, their sources (m,), see `Trial`, and their weights (m,), which sum to 1."""

    x: NDArray[np.float32]
    source: NDArray[np.str_]
    share: Floats


class Trial(NamedTuple):
    """Queries asked of a catalog: their statistics, whether they have no answer, their sources and their weights.

    `values` maps a statistic's name to (m, columns), the others are (m,). A source is "own", a set or a kind of
    gibberish. `share` sums to 1.
    """

    values: dict[str, Floats]
    none: NDArray[np.bool_]
    source: NDArray[np.str_]
    share: Floats


Trials = dict[str, list[Trial]]  # of each set


class Sets(NamedTuple):
    """All sets embedded: items and queries by set, with the gibberish, and the items that answer each query."""

    catalogs: dict[str, Catalog]
    queries: dict[str, NDArray[np.float32]]
    answers: dict[str, list[NDArray[np.int64]]]


def main() -> None:
    """Print the tables."""
    if not DATA.is_dir():
        raise SystemExit("the judged data is not here")
    heading("None of these")
    encoder = loading.load()
    sets = embed(encoder)
    whole = {name: [ask(sets, name, sets.catalogs[name])] for name in SETS}
    among = {name: list(_ask_among_others(sets, name)) for name in SETS}
    cuts = {size: {name: list(_ask_cuts(sets, name, size)) for name in SETS} for size in SIZES}
    names = list(whole[SETS[0]][0].values)

    print("The area under the ROC curve:\n")
    single = [name for name in names if whole[SETS[0]][0].values[name].shape[1] == 1]
    rows = [[name, *(_auc(whole[held_out][0], name) for held_out in SETS)] for name in single]
    table(("statistic", *SETS, "mean"), [[*row, statistics.mean(row[1:])] for row in rows])

    print("Balanced accuracy at .5 and calibration error, fitted to the other four sets:\n")
    rows = []
    for name in names:
        chances = {held_out: leave_out(whole, held_out, name, whole) for held_out in SETS}
        accuracies = [_accuracy(chances[held_out], whole[held_out]) for held_out in SETS]
        errors = [_calibration_error(chances[held_out], whole[held_out]) for held_out in SETS]
        together = _calibration_error(
            list(itertools.chain.from_iterable(chances.values())), list(itertools.chain.from_iterable(whole.values()))
        )
        cells = (*accuracies, statistics.mean(accuracies), min(accuracies), together, max(errors))
        rows.append([name, *(f"{cell:.3f}" for cell in cells)])
    table(("statistic", *SETS, "mean", "least", "calibration error, together", "of the worst set"), rows)

    print("Balanced accuracy by the size of the catalog: parts of the set, the set, the set among other sets' items:\n")
    rows = []
    for name in names:
        cells = []
        for trials in (*cuts.values(), whole, among):
            held_out_sets = [held_out for held_out in SETS if trials[held_out]]
            accuracies = [_accuracy(leave_out(whole, held_out, name, trials), trials[held_out])
                          for held_out in held_out_sets]  # fmt: skip
            cells.append(f"{statistics.mean(accuracies):.3f} ({min(accuracies):.2f})")
        rows.append([name, *cells])
    table(("mean (least)", *(str(size) for size in SIZES), "the set", "among others"), rows)

    print(f"How often p > .5 says that there is no answer, by {OURS} fitted to the other four sets:\n")
    kinds = ["own", *SETS, *gibberish()]
    rows = []
    for held_out in SETS:
        (chance,), (trial,) = leave_out(whole, held_out, OURS, whole), whole[held_out]
        rates = {kind: np.mean(chance[trial.source == kind] > 0.5) for kind in set(trial.source.tolist())}
        rows.append([held_out, *(f"{rates[kind]:.0%}" if kind in rates else "" for kind in kinds)])
    table(("set", *kinds), rows)

    b, a = fit([whole[name][0] for name in SETS], OURS)
    print(f"Fitted to all five sets: NullKey(logit={-b:.2f}, sharpness={a:.2f}), for {encoder.model.sha256}\n")
    print_fitted({"all-MiniLM-L6-v2": (encoder, sets), "wordllama": embed_with("wordllama")})


def embed_with(model: str) -> tuple[Encoder, Sets]:
    """The encoder of a model, and all sets, embedded with it."""
    encoder = loading.load(model)
    return encoder, embed(encoder)


def print_fitted(encoders: dict[str, tuple[Encoder, Sets]]) -> None:
    """What is fitted to the catalogs that we ship, tried on all sets; also as if all cosines were high."""
    rows, kl_rows = [], []
    for model, (encoder, sets) in encoders.items():
        asked = shipped.compare(shipped.read_shipped(), encoder)
        of_sets = {name: _cosines(sets, name) for name in SETS}
        if encoder.model.sha256 in FITTED:
            rows.append([model, "all five sets", *_fitted_row(of_sets, FITTED[encoder.model.sha256])])
        for more in (0, SQUEEZED):
            name = f"{model}, squeezed" if more else model
            seen = [squeeze(catalog, more) for catalog in asked]
            seen_sets = {key: (queries, squeeze(cosines, more)) for key, (queries, cosines) in of_sets.items()}
            temperature = calibrate(seen).temperature
            if temperature != TEMPERATURE:
                rows.append([name, "all, at the usual τ", *_fitted_row(seen_sets, fit_null(seen, TEMPERATURE))])
            rows.append([name, "all", *_fitted_row(seen_sets, fit_null(seen, temperature))])
            for left in seen:
                others = [other for other in seen if other is not left]
                own = TEMPERATURE if temperature == TEMPERATURE else fit_temperature(others)
                rows.append([name, f"without {left.name}", *_fitted_row(seen_sets, fit_null(others, own))])
            for tau in dict.fromkeys((TEMPERATURE, fit_temperature(seen))):
                kls = [measure_kl(cosines, tau).mean() for _, cosines in seen_sets.values()]
                kl_rows.append([name, f"{tau:g}", *(f"{kl:.3f}" for kl in kls)])
    print("Balanced accuracy at .5, fitted to the shipped catalogs, and to all but one of them:\n")
    table(("encoder", "fitted to", "τ", "b", "a", *SETS, "mean", "least"), rows)
    print("KL of the sets' own requests, at the usual temperature and at the one that the shipped catalogs ask for:\n")
    table(("encoder", "τ", *SETS), kl_rows)


def squeeze(catalog: Cosines, more: float) -> Cosines:
    """The same catalog by an encoder that adds a number to each vector, whose square is `more`: cosines lie higher."""
    return catalog._replace(cosines=(catalog.cosines + more) / (1 + more))


def _fitted_row(of_sets: dict[str, tuple[Queries, Cosines]], null: NullKey) -> list[str]:
    """The cells of a null key."""
    accuracies = [_fitted_accuracy(queries, cosines, null) for queries, cosines in of_sets.values()]
    cells = (*accuracies, statistics.mean(accuracies), min(accuracies))
    return [
        f"{null.temperature:g}",
        f"{null.logit:.2f}",
        f"{null.sharpness:.2f}",
        *(f"{cell:.3f}" for cell in cells),
    ]


def _cosines(sets: Sets, name: str) -> tuple[Queries, Cosines]:
    """The queries of a trial of a set, and their cosines with its items."""
    queries = choose_queries(sets, name)
    right = [*sets.answers[name], *([np.empty(0, np.int64)] * (len(queries.x) - len(sets.answers[name])))]
    cosines = sets.catalogs[name].logits(queries.x) / SCALE
    return queries, Cosines(name, cosines, right, queries.source == "own")


def _fitted_accuracy(queries: Queries, cosines: Cosines, null: NullKey) -> float:
    """The balanced accuracy of a null key."""
    is_answered = null.sharpness * measure_evidence(cosines, null.temperature) > null.logit
    return float(queries.share @ (is_answered == (queries.source == "own")))


def gibberish(seed: int = 7) -> dict[str, list[str]]:
    """Queries without an answer, by kind; the same each time."""
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


def embed(encoder: Encoder) -> Sets:
    """Embed all sets: a quarter of an hour on two cores with the default encoder."""
    catalogs, queries, answers = {}, {}, {}
    for name in SETS:
        items, titles, texts, grades = judged(name)
        split = [passages.split_passages(encoder, title, text) for title, text in zip(titles, items, strict=True)]
        keys = encoder.encode([passage.text for parts in split for passage in parts])
        catalogs[name] = Catalog(keys, np.cumsum([0, *(len(parts) for parts in split[:-1])]))
        queries[name] = encoder.encode(texts, "query")
        right = [[item for item, grade in grades.get(query, {}).items() if grade > 0] for query in range(len(texts))]
        answers[name] = [np.array(numbers, np.int64) for numbers in right]
    queries.update({kind: encoder.encode(texts, "query") for kind, texts in gibberish().items()})
    return Sets(catalogs, queries, answers)


def ask(
    sets: Sets, name: str, catalog: Catalog, own: Iterable[int] | None = None, unanswered: Iterable[str] = SETS
) -> Trial:
    """Ask a catalog `choose_queries`."""
    x, source, share = choose_queries(sets, name, own, unanswered)
    return Trial(measure(catalog, x), source != "own", source, share)


def choose_queries(
    sets: Sets, name: str, own: Iterable[int] | None = None, unanswered: Iterable[str] = SETS
) -> Queries:
    """The queries of a set, or only its `own` ones, the queries of the `unanswered` sets, and gibberish.

    Answered and unanswered queries weigh the same; among the unanswered, so do each set and all gibberish together.
    """
    queries = {"own": sets.queries[name] if own is None else sets.queries[name][list(own)]}
    weights = {"own": 0.5}
    others = [other for other in unanswered if other != name]
    for other in others:
        weights[other] = 0.5 / (len(others) + 1)
    for kind in gibberish():
        weights[kind] = 0.5 / (len(others) + 1) / len(gibberish())
    queries.update({source: sets.queries[source] for source in weights if source != "own"})
    x = np.concatenate(list(queries.values()))
    source = np.repeat(list(queries), [len(part) for part in queries.values()])
    share = np.concatenate([np.full(len(part), weights[source] / len(part)) for source, part in queries.items()])
    return Queries(x, source, share)


def measure(catalog: Catalog, x: NDArray[np.float32]) -> dict[str, Floats]:
    """The statistics to compare of queries x (m, d), in logits: (m, columns) by name.

    The background is a statistic of the catalog's own items, each asked of all the others.
    """
    z = catalog.logits(x)
    n = z.shape[1]
    probes = np.random.default_rng(n).choice(n, min(PROBES, n), replace=False)
    own = catalog.logits(catalog.keys[catalog.begins[probes]])
    own[np.arange(len(probes)), probes] = -np.inf
    best, mean, probe_best = z.max(axis=1), _log_sum(z) - np.log(n), own.max(axis=1)
    probe_mean = _log_sum(own) - np.log(n - 1)
    weights = np.exp(z - _log_sum(z)[:, None])
    statistics_by_name = {
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
    return {name: np.stack(columns, axis=1) for name, columns in statistics_by_name.items()}


def fit(trials: Sequence[Trial], name: str) -> Floats:
    """Fit the chance that a query has an answer as a logistic function of a statistic, by Newton's method.

    Returns the constant, then a slope for each column of the statistic.
    """
    x = np.concatenate([trial.values[name] for trial in trials])
    answered = ~np.concatenate([trial.none for trial in trials])
    share = np.concatenate([trial.share for trial in trials]) / len(trials)
    mean, spread = x.mean(axis=0), x.std(axis=0)
    x = np.column_stack([np.ones(len(x)), (x - mean) / spread])
    weights = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ weights))
        weights += np.linalg.solve((x * (share * p * (1 - p))[:, None]).T @ x, x.T @ (share * (answered - p)))
    slopes = weights[1:] / spread
    return np.array([weights[0] - slopes @ mean, *slopes])


def leave_out(whole: Trials, held_out: str, name: str, trials: Trials) -> list[Floats]:
    """The chance that there is no answer in each trial of the set `held_out`, fitted to the other sets as they are."""
    constant, *slopes = fit([whole[other][0] for other in SETS if other != held_out], name)
    return [1 / (1 + np.exp(constant + trial.values[name] @ slopes)) for trial in trials[held_out]]


def _ask_cuts(sets: Sets, name: str, size: int) -> Iterator[Trial]:
    """Ask catalogs of `size` of a set's items, up to half of which are answers to its queries."""
    rng = np.random.default_rng(size)
    answers, n = sets.answers[name], len(sets.catalogs[name].begins)
    for _ in range(CUTS if size < n else 0):
        queries = rng.permutation([query for query, right in enumerate(answers) if len(right)])[: size // 2]
        right = np.unique([rng.choice(answers[query]) for query in queries])
        rest = np.setdiff1d(np.arange(n), right)
        items = np.sort(np.concatenate([right, rng.choice(rest, size - len(right), replace=False)]))
        own = [query for query, right_items in enumerate(answers) if np.isin(right_items, items).any()]
        yield ask(sets, name, sets.catalogs[name].subset(items), own)


def _ask_among_others(sets: Sets, name: str) -> Iterator[Trial]:
    """Ask catalogs of all sets' items but one's; that set's queries have no answer."""
    for other in SETS:
        if other != name:
            parts = [sets.catalogs[part] for part in SETS if part != other]
            heads = np.cumsum([0, *(len(part.keys) for part in parts[:-1])])
            begins = np.concatenate([part.begins + head for part, head in zip(parts, heads, strict=True)])
            catalog = Catalog(np.concatenate([part.keys for part in parts]), begins)
            yield ask(sets, name, catalog, unanswered=[other])


def _accuracy(chances: list[Floats], trials: list[Trial]) -> float:
    """Balanced accuracy at .5: half of it from answered queries, half from unanswered ones."""
    shares = [trial.share @ ((chance > 0.5) == trial.none) for chance, trial in zip(chances, trials, strict=True)]
    return statistics.mean(shares)


def _calibration_error(chances: list[Floats], trials: list[Trial], bins: int = 10) -> float:
    """The mean gap between a chance and its frequency, over bins of equal width (Guo et al. 2017)."""
    chance = np.concatenate(chances)
    none = np.concatenate([trial.none for trial in trials])
    share = np.concatenate([trial.share for trial in trials]) / len(trials)
    bin_numbers = np.minimum((chance * bins).astype(int), bins - 1)
    return sum(abs(share[bin_numbers == n] @ (chance - none)[bin_numbers == n]) for n in range(bins))


def _auc(trial: Trial, name: str) -> float:
    """The area under the ROC curve of a statistic of one column: answered queries should have more of it."""
    values = trial.values[name][:, 0]
    answered, unanswered = np.sort(values[~trial.none]), np.sort(values[trial.none])
    share = trial.share[trial.none][np.argsort(values[trial.none])]
    below = np.concatenate([[0.0], np.cumsum(share)]) / share.sum()
    return float(np.mean([below[np.searchsorted(unanswered, answered, side)] for side in ("left", "right")]))


def _log_sum(z: Floats) -> Floats:
    """log Σ exp z over each row."""
    best = z.max(axis=1)
    return best + np.log(np.exp(z - best[:, None]).sum(axis=1))


if __name__ == "__main__":
    main()
