"""`attnsearch train`: learn from judged requests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attnsearch.cli import options, terminal
from attnsearch.errors import InputError
from attnsearch.storage import files


def train(
    judgments: Annotated[
        str | None,
        typer.Argument(
            metavar="[JUDGMENTS]",
            show_default=False,
            help="Requests and the ids that are right, as eval reads them. Without: what 'feedback' noted.",
        ),
    ] = None,
    qrels: options.Qrels = None,
    catalog: options.Catalog = None,
    self_made: Annotated[
        bool,
        typer.Option("--self", help="Learn from the catalog alone: pieces of its texts and titles are the requests."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Take what was learned, whatever held-out requests say.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be learned, and change nothing.")] = False,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", show_default=False, help="Write it into a file too, for 'query --projections FILE'."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Cuts the folds; the same one gives the same result.")] = 0,
    json: options.Json = False,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    no_color: options.NoColor = False,
) -> None:
    """Learn W_Q, the temperature, λ and the null key from judged requests, if requests held out say that it is better.

    attnsearch train judgments.yaml -c library

    attnsearch train queries.jsonl qrels.tsv -c corpus.jsonl --dry-run

    attnsearch train --self -c library
    """
    if self_made and judgments is not None and qrels is not None:
        raise InputError("--self with two files", hint="give one file of judgments to measure it on, or none")

    from attnsearch.learning.training import train as learn
    from attnsearch.learning.training import train_self
    from attnsearch.output import training
    from attnsearch.search.index import Index
    from attnsearch.sources import judgments as judged
    from attnsearch.storage import feedback, learned

    with terminal.working(quiet=quiet) as working:
        requests = judged.read_judgments(judgments, qrels) if judgments is not None else None
        with Index.open(catalog, offline=offline, progress=working.progress) as index:
            folder = index.store.folder
            if requests is None:
                requests = feedback.read_feedback(folder)
            if self_made:
                outcome = train_self(index, requests, seed=seed, force=force, progress=working.progress)
            else:
                outcome = learn(index, requests, seed=seed, force=force, progress=working.learning)
            name = index.info.name
        working.stop()
        if outcome.learned is not None:
            if save is not None:
                learned.write_learned(save, outcome.learned)
            if not dry_run:
                learned.write_learned(folder / files.LEARNED, outcome.learned)
    screen = terminal.screen(color=not no_color, quiet=quiet)
    if json:
        stored = not dry_run and outcome.learned is not None
        terminal.emit([training.verdict_as_json(outcome, name, screen, stored=stored)])
    else:
        terminal.emit([training.verdict(outcome, screen, stored=not dry_run)])
