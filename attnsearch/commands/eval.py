"""`attnsearch eval`: how well a catalog answers judged requests."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from attnsearch.cluster.address import DEADLINE
from attnsearch.terminal import argv, browser, options, progress, streams
from attnsearch.terminal.catalogs import open_index
from attnsearch.terminal.setting_options import SettingOptions, parse_setting_text


def eval_(
    judgments: Annotated[
        str,
        typer.Argument(
            metavar="JUDGMENTS",
            help="Requests with the ids of the right items, as YAML, JSON or JSONL; with QRELS, TREC's queries.",
        ),
    ],
    qrels: options.Qrels = None,
    catalog: options.Catalog = None,
    top_k: Annotated[int, options.top_k_option("The k of recall@k. (default: 10)")] = 10,
    setting_options: SettingOptions = SettingOptions(),
    compare: Annotated[
        str | None,
        typer.Option(
            metavar="OPTIONS",
            rich_help_panel=options.SHARP,
            help="Measure a second setting too: options such as '--temperature 0.1'.",
        ),
    ] = None,
    gain: Annotated[
        Literal["linear", "exp"],
        typer.Option(
            metavar="GAIN",
            rich_help_panel=options.SHARP,
            help="What a grade gains in nDCG: linear (the grade) or exp (2^grade - 1). (default: linear)",
        ),
    ] = "linear",
    worst: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            rich_help_panel=options.SHOWN,
            help="Show the N worst requests. (default: 5)",
        ),
    ] = 5,
    format_: options.DrawnFormat = None,
    json: options.Json = False,
    out: options.Out = None,
    open_: options.Open = False,
    on: options.On = None,
    timeout: options.Timeout = DEADLINE,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    color: options.Color = "auto",
) -> None:
    """Measure how well a catalog answers JUDGMENTS: nDCG, MRR, recall, KL, calibration and the worst requests.

    attnsearch eval judgments.yaml -c library

    attnsearch eval judgments.yaml -c library --compare '--temperature 0.1'

    attnsearch eval queries.jsonl qrels.tsv -c corpus.jsonl --json

    attnsearch eval judgments.yaml -c library -o eval.svg
    """
    form = options.choose_report(format_, json=json, allowed=options.DRAWN, out=out, is_opened=open_)
    second_options = None if compare is None else parse_setting_text(compare, "--compare")

    from attnsearch.evaluation.report import evaluate
    from attnsearch.evaluation.significance import compare_evaluations
    from attnsearch.output.evaluation import SecondSetting, as_json, table
    from attnsearch.sources.judgments import read_judgments

    with progress.working(quiet=quiet) as working:
        requests = read_judgments(judgments, qrels)
        refs = [catalog] if catalog else []
        with open_index(refs, on=on, timeout=timeout, offline=offline, progress=working.progress) as index:
            evaluation = evaluate(index, requests, setting_options.setting(index.info), k=top_k, gain=gain)
            second = None
            if compare is not None and second_options is not None:
                second_evaluation = evaluate(index, requests, second_options.setting(index.info), k=top_k, gain=gain)
                comparison = compare_evaluations(evaluation, second_evaluation)
                second = SecondSetting(compare, second_evaluation, comparison)
        picture = None
        if form == "html":
            from attnsearch.pages.figures import picture_evaluation

            picture = picture_evaluation(evaluation, second)
        working.stop()
        screen = streams.screen(color=color, quiet=quiet, out=out)
        if form == "html":
            from attnsearch.pages.evaluation import evaluation_page

            page = evaluation_page(evaluation, argv.command_line(), worst=worst, second=second, picture=picture)
            browser.emit_page(page, out, is_opened=open_)
        elif form in options.FIGURES:
            from attnsearch.plots.evaluation import draw_evaluation

            streams.emit_bytes([draw_evaluation(evaluation, second, form)], out)
        elif form == "json":
            files = [judgments] if qrels is None else [judgments, qrels]
            streams.emit([as_json(evaluation, files, screen, worst=worst, second=second)], out)
        else:
            streams.emit([table(evaluation, screen, worst=worst, second=second)], out)
