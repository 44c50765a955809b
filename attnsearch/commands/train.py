"""`attnsearch train` and `calibrate`: learn from judged requests, fit an encoder's constants."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attnsearch.cluster.address import DEADLINE
from attnsearch.errors import InputError
from attnsearch.output.safe_text import to_json
from attnsearch.terminal import argv, browser, options, progress, streams
from attnsearch.terminal.catalogs import asked_catalog, open_index, taught_catalog

if TYPE_CHECKING:
    from attnsearch.learning.training import Outcome
    from attnsearch.output.safe_text import Screen


def train(
    judgments: Annotated[
        str | None,
        typer.Argument(
            metavar="JUDGMENTS",
            help="Requests with the ids of the right items, as for eval. (default: the catalog's feedback)",
        ),
    ] = None,
    qrels: options.Qrels = None,
    catalog: options.Catalog = None,
    self_made: Annotated[
        bool,
        typer.Option(
            "--self",
            rich_help_panel=options.WHICH,
            allow_from_autoenv=False,
            help="Learn from the catalog alone: its titles and passages. 20 judged requests have to gain.",
        ),
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "--force", rich_help_panel=options.DONE, help="Keep what was learned, whatever the held-out requests say."
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", rich_help_panel=options.DONE, help="Show what would be learned, and change nothing."),
    ] = False,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=options.DONE,
            help="Also write it to FILE, for 'query --projections FILE'.",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            rich_help_panel=options.DONE,
            help="Seed of the split into folds; the same seed gives the same result. (default: 0)",
        ),
    ] = 0,
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
    """Learn W_Q, memory, the temperature, λ and the null key; keep what answers held-out requests better.

    attnsearch train judgments.yaml -c library

    attnsearch train queries.jsonl qrels.tsv -c corpus.jsonl --dry-run

    attnsearch train --self judgments.yaml -c library

    attnsearch train judgments.yaml -c library --dry-run -o gain.svg
    """
    form = options.choose_report(format_, json=json, allowed=options.DRAWN, out=out, is_opened=open_)
    if self_made and judgments is not None and qrels is not None:
        raise InputError(
            "--self takes no QRELS", hint="give one file of judgments to measure it on, or none for the feedback"
        )
    if self_made and form in options.FIGURES:
        raise InputError(f"--self learns from no judged requests, which {form} would count", hint="ask for html")

    from attnsearch.api.feedback import notebook_of
    from attnsearch.learning import training
    from attnsearch.search.memory import embedding_of
    from attnsearch.sources.judgments import read_judgments
    from attnsearch.storage.failures import writing
    from attnsearch.storage.files import refuse_unless_regular
    from attnsearch.storage.learned import write_learned
    from attnsearch.teaching.feedback import read_feedback, store_learned

    if save is not None:
        refuse_unless_regular(save)  # before anything is learned
    with progress.working(quiet=quiet) as working:
        with_curve = form in options.FIGURES
        if form == "html" and not self_made:
            from attnsearch.pages.figures import can_draw

            with_curve = can_draw()
        ref = asked_catalog(catalog) if dry_run else taught_catalog(catalog)
        requests = None if judgments is None else read_judgments(judgments, qrels)
        with open_index([ref], on=on, timeout=timeout, offline=offline, progress=working.progress) as index:
            name, notebook, commit = index.info.name, notebook_of(index.store), index.info.commit
            embedding = embedding_of(index)
            if requests is None:
                requests = read_feedback(notebook)
            if self_made:
                outcome = training.train_self(index, requests, seed=seed, force=force, progress=working.progress)
            else:
                outcome = training.train(
                    index, requests, seed=seed, force=force, with_curve=with_curve, progress=working.learning
                )
            working.stop()
            if outcome.learned is not None:
                if save is not None:
                    refuse_unless_regular(save)
                    with writing(save):
                        write_learned(save, outcome.learned)
                if not dry_run:
                    store_learned(notebook, outcome.learned, commit, embedding)
    screen = streams.screen(color=color, quiet=quiet, out=out)
    _emit(outcome, name, form, screen, out, is_opened=open_, is_dry=dry_run, is_self=self_made)


def _emit(
    outcome: Outcome,
    catalog: str,
    form: str,
    screen: Screen,
    out: str | None,
    *,
    is_opened: bool,
    is_dry: bool,
    is_self: bool,
) -> None:
    """Write what was learned, and why; `is_dry` says that nothing was stored, `is_self` that no judgment taught it."""
    from attnsearch.output import training as output

    stored = not is_dry and outcome.learned is not None
    if form == "html":
        from attnsearch.pages.figures import picture_training
        from attnsearch.pages.training import training_page

        picture = None if is_self else picture_training(outcome, catalog)
        page = training_page(outcome, catalog, argv.command_line(), stored=stored, picture=picture)
        browser.emit_page(page, out, is_opened=is_opened)
    elif form in options.FIGURES and outcome.curve:
        from attnsearch.plots.training import draw_curve

        conclusion = output.conclusion(outcome, stored=not is_dry)
        streams.emit_bytes([draw_curve(outcome.curve, catalog, form, conclusion=conclusion)], out)
    elif form == "json":
        streams.emit([output.verdict_as_json(outcome, catalog, screen, stored=stored)], out)
    else:
        streams.emit([output.verdict(outcome, screen, stored=not is_dry)], out)


def calibrate(
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FOLDER",
            rich_help_panel=options.WHICH,
            help="A sentence-transformers model. (default: all-MiniLM-L6-v2)",
        ),
    ] = None,
    query_prompt: Annotated[str | None, options.query_prompt_option("the model's")] = None,
    key_prompt: Annotated[str | None, options.key_prompt_option("the model's")] = None,
    dims: Annotated[int | None, options.dims_option("all")] = None,
    forget: Annotated[
        bool, typer.Option("--forget", rich_help_panel=options.DONE, help="Forget what was fitted to the model.")
    ] = False,
    json: options.Json = False,
    out: options.Out = None,
    offline: options.Offline = False,
    quiet: options.Quiet = False,
    color: options.Color = "auto",
) -> None:
    """Fit a model's temperature and null key to the built-in catalogs; all its catalogs with these prompts use them.

    A model without a null key is fitted by itself when it first indexes something.

    attnsearch calibrate --model wordllama

    attnsearch calibrate --model wordllama --forget
    """
    from attnsearch.attention.projections import TEMPERATURE
    from attnsearch.calibration import calibrate as calibration
    from attnsearch.calibration.fit_file import forget_fit, load_fit
    from attnsearch.encoding import loading, trial
    from attnsearch.encoding.encoder import record_use
    from attnsearch.models.use import Wanted, use_as_json
    from attnsearch.output import training as output
    from attnsearch.output.formats import SCHEMA
    from attnsearch.storage import home

    screen = streams.screen(color=color, quiet=quiet, out=out)
    with progress.working(quiet=quiet) as working:
        encoder, _ = trial.open_wanted(
            lambda wanted: loading.load_as_wanted(model, wanted, None, offline=offline),
            Wanted(query_prompt, key_prompt, dims),
            unless=home.has_catalog_of,
            offline=offline,
        )
        name, file = encoder.model.name, calibration.file_of(encoder)
        use = record_use(encoder)
        fit_before, fit, forgotten = load_fit(file, name, use), None, False
        if forget:
            forgotten = forget_fit(file)
        else:
            fit = calibration.calibrate(encoder, working.progress)
    sha256 = encoder.model.sha256
    shipped = sha256 if use is None else ""
    before, after = (output.constants_as_json(shipped, TEMPERATURE, part) for part in (fit_before, fit))
    if json:
        hashes = {"weights_sha256": sha256, "model_sha256": encoder.model.identity}
        row = {"schema": SCHEMA, "model": name, **hashes, "use": use_as_json(use), **after, "before": before}
        streams.emit([to_json(row, screen, indent=2)], out)
    elif fit:
        words_before, words = output.constants_in_words(before, fit_before), output.constants_in_words(after, fit)
        streams.emit([output.calibration(fit, use, words_before, words, screen)], out)
    elif not quiet:
        note = "forgot what was fitted" if forgotten else "nothing was fitted"
        again = "" if after["none_of_these"] else "; it is fitted when it next indexes something"
        used = f" with {use.in_words()}" if use else ""
        streams.emit([streams.as_line(f"{name}{used}: {note}{again}", out)], out)
