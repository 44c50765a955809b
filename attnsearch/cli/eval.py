"""`attnsearch eval`: how well a catalog answers requests that somebody judged."""

from __future__ import annotations

from typing import Annotated

import typer

from attnsearch.cli import options, terminal


def eval_(
    judgments: Annotated[
        str,
        typer.Argument(
            metavar="JUDGMENTS",
            show_default=False,
            help="YAML, JSON or JSONL: requests and the ids that are right. Or the queries that QRELS grade.",
        ),
    ],
    qrels: options.Qrels = None,
    catalog: options.Catalog = None,
    top_k: Annotated[int, typer.Option("-k", "--top-k", "-n", "--limit", min=1, help="The k of recall@k.")] = 10,
    asked_with: options.SettingOptions = options.SettingOptions(),
    compare: Annotated[
        str | None,
        typer.Option(
            metavar="OPTIONS",
            show_default=False,
            help="Another setting to measure beside this one, such as '--temperature 0.1'.",
        ),
    ] = None,
    worst: Annotated[int, typer.Option(min=0, metavar="N", help="How many of the worst requests to name.")] = 5,
    json: Annotated[bool, typer.Option("--json", help="Every number, those of each request too, as JSON.")] = False,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    no_color: options.NoColor = False,
) -> None:
    """Measure how well a catalog answers JUDGMENTS: nDCG, MRR, recall, KL, calibration, the worst requests.

    attnsearch eval judgments.yaml -c library

    attnsearch eval judgments.yaml -c library --compare '--temperature 0.1'

    attnsearch eval queries.jsonl qrels.tsv -c corpus.jsonl --json
    """
    another = None if compare is None else options.setting_in(compare, "--compare")

    from attnsearch.evaluation.report import evaluate
    from attnsearch.evaluation.significance import compare_evaluations as compared
    from attnsearch.output import evaluation
    from attnsearch.search.index import Index
    from attnsearch.sources import judgments as judged

    with terminal.working(quiet=quiet) as working:
        requests = judged.read_judgments(judgments, qrels)
        with Index.open(catalog, offline=offline, progress=working.progress) as index:
            report = evaluate(index, requests, asked_with.setting(index.info), k=top_k)
            other = None
            if another is not None and compare is not None:
                found = evaluate(index, requests, another.setting(index.info), k=top_k)
                other = evaluation.Other(compare, found, compared(report, found))
        working.stop()
        screen = terminal.screen(color=not no_color, quiet=quiet)
        if json:
            files = [judgments] if qrels is None else [judgments, qrels]
            terminal.emit([evaluation.as_json(report, files, screen, worst=worst, other=other)])
        else:
            terminal.emit([evaluation.table(report, screen, worst=worst, other=other)])
