"""What misspelled words cost, and how much of it is won back by correcting them, in nDCG@10 of the judged sets.

Requests are asked as they are, which should lose nothing, and with one word or two misspelled at random: two letters
of it are swapped, or one is dropped, doubled, or replaced by or followed by a neighbor on the keyboard. All of that is
as likely at any letter. Words of four letters or more are misspelled.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import time
from functools import partial

from attnsearch.evaluation.report import evaluate
from attnsearch.indexing.update import update
from attnsearch.opening.index import Index
from attnsearch.search.search import search
from attnsearch.search.setting import LEXICAL, Setting
from attnsearch.sources.judgments import Judged, read_judgments
from benchmarks.measure import BIN, DATA, in_turn, judged_sets, process, table, timed
from benchmarks.quality import write

DRAWS = 3  # of misspellings, whose mean counts

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")  # of the keyboard
_WORD = re.compile(r"(?<![\w./-])[A-Za-z]{4,}(?![\w/-])")


def main() -> None:
    """Print a table of quality for each set, and one of times."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("-n", "--rounds", type=int, default=15)
    rows: list[list[object]] = []
    times: list[list[object]] = []
    with judged_sets(parser, "Misspelled requests", "rapidfuzz") as arguments:
        for name in arguments.sets:
            source = arguments.home / f"{name}.jsonl"
            write(name, source)
            update([str(source)], name=name)
            requests = read_judgments(str(DATA / name / "queries.jsonl"), str(DATA / name / "qrels.tsv"))
            with Index.open(name) as index:
                for lexical in (0.0, LEXICAL):
                    rows += measure(index, requests, lexical, arguments.draws)
                    print(*rows[-3:], sep="\n", flush=True)
                times.append([name, *time_readings(index, [request.query for request in requests])])
        table(("set", "λ", "misspelled words", "as they are", "as typed", "as read", "won back"), rows)
        shares = [float(str(row[-1])) for row in rows if row[-1] != ""]
        print(f"won back, in the mean: {statistics.mean(shares):.2f}\n" if shares else "")
        table(("set", "ms of a clean request", "ms of one with a misspelled word"), times)
        time_processes(arguments.sets[0], arguments.rounds)


def measure(index: Index, requests: list[Judged], lexical: float, draws: int) -> list[list[object]]:
    """The rows of a catalog: of its requests as they are, and with one word misspelled, and two."""
    as_typed, as_read = (Setting(lexical=lexical, spell=spell) for spell in (False, True))
    clean = ndcg(index, requests, as_typed)
    read = ndcg(index, requests, as_read)
    rows: list[list[object]] = [[index.info.name, lexical, 0, f"{clean:.4f}", f"{clean:.4f}", f"{read:.4f}", ""]]
    for count in (1, 2):
        typed_means, read_means = [], []
        for draw in range(draws):
            rng = random.Random(f"{index.info.name} {count} {draw}")
            wrong = [request._replace(query=misspell(request.query, count, rng)) for request in requests]
            typed_means.append(ndcg(index, wrong, as_typed))
            read_means.append(ndcg(index, wrong, as_read))
        typed, read = statistics.mean(typed_means), statistics.mean(read_means)
        won = (read - typed) / (clean - typed)
        rows.append([index.info.name, lexical, count, f"{clean:.4f}", f"{typed:.4f}", f"{read:.4f}", f"{won:.2f}"])
    return rows


def ndcg(index: Index, requests: list[Judged], setting: Setting) -> float:
    """The mean nDCG@10."""
    mean = evaluate(index, requests, setting).means["ndcg"]
    assert mean is not None
    return mean


def misspell(text: str, count: int, rng: random.Random) -> str:
    """The text with so many of its words misspelled, or all if it has fewer that may be."""
    words = [match for match in _WORD.finditer(text) if not match[0].isupper()]
    for match in sorted(rng.sample(words, min(count, len(words))), key=lambda match: -match.start()):
        text = text[: match.start()] + mistype(match[0], rng) + text[match.end() :]
    return text


def mistype(word: str, rng: random.Random) -> str:
    """The word with one mistake in it."""
    while True:
        place = rng.randrange(len(word))
        left, letter, right = word[:place], word[place], word[place + 1 :]
        near = rng.choice(neighbors(letter.lower()))
        wrong = rng.choice(
            [left + right[:1] + letter + right[1:], left + right, left + 2 * letter + right, left + near + right,
             left + letter + near + right]
        )  # fmt: skip
        if wrong != word:
            return wrong


def neighbors(letter: str) -> list[str]:
    """The letters around a letter on the keyboard."""
    (row,) = (number for number, keys in enumerate(_ROWS) if letter in keys)
    column = _ROWS[row].index(letter)
    near = {keys[max(column - 1, 0) : column + 2] for keys in _ROWS[max(row - 1, 0) : row + 2]}
    return sorted({key for keys in near for key in keys} - {letter})


def time_readings(index: Index, texts: list[str]) -> list[float]:
    """How many milliseconds reading takes longer than asking as typed, of a request as it is and a misspelled one."""
    rng = random.Random(0)
    means = []
    for asked in (texts, [misspell(text, 1, rng) for text in texts]):
        runs = {spell: timed(partial(_ask_each, index, asked[:100], Setting(spell=spell))) for spell in (False, True)}
        seconds = in_turn(runs, 5)
        differences = [read - typed for read, typed in zip(seconds[True], seconds[False], strict=True)]
        means.append(1000 * statistics.median(differences) / len(asked[:100]))
    return means


def _ask_each(index: Index, texts: list[str], setting: Setting) -> None:
    for text in texts:
        search(index, [text], setting)


def time_processes(name: str, rounds: int) -> None:
    """Print the times of whole processes, in turn: of known words, of a rare one, and of a misspelled one."""
    requests = {
        "known": "print the current directory",
        "rare": "print the inode of a file",
        "wrong": "print the curent directory",
    }
    runs = {
        (kind, option): partial(process, (BIN / "attnsearch", "query", text, "-c", name, option))
        for kind, text in requests.items()
        for option in ("--exact", "--spell")
    }
    costs = in_turn(runs, rounds)
    rows = []
    for kind, text in requests.items():
        typed, read = ([cost.seconds for cost in costs[kind, option]] for option in ("--exact", "--spell"))
        more = statistics.median(b - a for a, b in zip(typed, read, strict=True))
        rows.append((text, 1000 * statistics.median(typed), 1000 * statistics.median(read), 1000 * more))
    table(("request", "ms --exact", "ms --spell", "ms more, paired"), rows)


if __name__ == "__main__":
    start = time.perf_counter()
    main()
    print(f"{time.perf_counter() - start:.0f} s")
