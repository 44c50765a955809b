"""The answer to a query, as a sequence of hits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from html import escape
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from attnsearch.output.formats import as_json
from attnsearch.output.notes import footer, percent
from attnsearch.output.safe_text import inert
from attnsearch.search import result as search_result
from attnsearch.search.result import Hit, Why

if TYPE_CHECKING:
    import pandas as pd

    from attnsearch.explanation.reasons import Lead
    from attnsearch.explanation.steps import Step
    from attnsearch.search.readout import Readout
    from attnsearch.search.spelling import Correction

_SHOWN = 160  # characters of a text in a notebook


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Result(Sequence[Hit]):
    """The answer to one query: its hits, the best first, and what is known of all items.

    `items` counts all items of the catalog, `masked` those that are hidden; `emptied_by` says what hid the last of
    them, if none is left. `effective_items` is exp(entropy) of the weights: how many items share the attention.
    `none_of_these` is the chance that nothing in the catalog answers; None if the encoder has no null key. `lexical` is
    λ, 0 if shared words did not count; `trained` says whether what was learned was used. `recalled` are the judged
    texts that are like the query, each with its share of the attention. `like` and `unlike` are the ids of items that
    the query was made of.

    As far as the query asked for them: `values` has a readout of each field, `output` (d,) is softmax(Q Kᵀ/√d_k) V,
    `whys` say why each hit has its logit, `steps` are those of the formula, and `lead` is why the first of two items
    ranks above the second.
    """

    query: str
    catalog: str
    model: str
    temperature: float
    items: int
    masked: int
    none_of_these: float | None
    effective_items: float
    elapsed_ms: float
    hits: tuple[Hit, ...]
    catalogs: tuple[str, ...]
    lexical: float
    values: tuple[Readout, ...]
    output: NDArray[np.float64] | None
    whys: tuple[Why, ...]
    trained: bool
    recalled: Mapping[str, float]
    emptied_by: str | None
    like: tuple[str, ...]
    unlike: tuple[str, ...]
    steps: tuple[Step, ...]
    lead: Lead | None
    _source: search_result.Result  # which all of this was made of

    def __len__(self) -> int:
        return len(self.hits)

    @overload
    def __getitem__(self, index: int) -> Hit: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Hit, ...]: ...

    def __getitem__(self, index: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[index]

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __repr__(self) -> str:
        best = "; ".join(f"{hit.name} {percent(hit.weight)}" for hit in self.hits[:3])
        more = "; …" if len(self.hits) > 3 else ""
        return f"<Result of {self.query[:_SHOWN]!r}: {len(self.hits)} hits{': ' if best else ''}{best}{more}>"

    @property
    def is_none_of_these(self) -> bool:
        """Whether it is likelier that nothing answers than that something does."""
        return self._source.is_none_of_these

    @property
    def unreadable(self) -> bool:
        """Whether that is so because the encoder does not read the language of the query."""
        return self._source.unreadable

    @property
    def heads(self) -> tuple[str, ...]:
        """The models beside `model` of a catalog that has several heads."""
        return tuple(self._source.heads)

    @property
    def asked(self) -> str | None:
        """The query as it was read, if words of it were misspelled; else None."""
        return self._source.asked

    @property
    def corrections(self) -> tuple[Correction, ...]:
        """The misspelled words, each as it was `typed` and as it was `read`."""
        return tuple(self._source.corrections)

    def to_dicts(self) -> list[dict[str, Any]]:
        """The hits as they are in JSON: one dict each, with `fields` as a dict, and `why` if the query explained."""
        hits: list[dict[str, Any]] = as_json(self._source)["hits"]
        return hits

    def to_pandas(self) -> pd.DataFrame:
        """The hits as a data frame: a row each, and a column for each member of a hit and each field of the items.

        A field that is called like a member of a hit is the column `fields.NAME`.

        Raises ImportError if pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_pandas needs pandas: pip install pandas") from error
        members = [name for name in Hit._fields if name != "fields"]
        rows = []
        for hit in self.hits:
            fields = {f"fields.{name}" if name in members else name: value for name, value in hit.fields.items()}
            rows.append({name: getattr(hit, name) for name in members} | fields)
        return pd.DataFrame(rows, columns=list(dict.fromkeys([*members, *(name for row in rows for name in row)])))

    def _repr_html_(self) -> str:
        """A table for notebooks: nothing in it is anything but text."""
        rows = [
            f"<tr><td>{hit.rank}</td><td>{_cell(hit.name)}</td><td>{escape(percent(hit.weight))}</td>"
            f"<td>{hit.score:.3f}</td><td style='text-align: left'>{_cell(hit.passage or hit.description)}</td></tr>"
            for hit in self.hits
        ]
        asked = [] if self.asked is None else [f'asked as "{self.asked}"']
        head = "".join(f"<th>{name}</th>" for name in ("#", "title", "weight", "score", "description"))
        return (
            f"<table><caption>{_cell(self.query)}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{''.join(rows)}</tbody></table>"
            + "".join(f"<p>{_cell(line)}</p>" for line in (*asked, footer(self._source)))
        )


_MEMBERS = {member.name for member in fields(Result)}


def publish(source: search_result.Result, lead: Lead | None = None) -> Result:
    """The result of a search, as a program sees it."""
    steps: list[Step] = []
    if source.trace:
        from attnsearch.explanation.steps import explain_steps  # which most answers do without

        steps = explain_steps(source)
    members = {name: value for name, value in source._asdict().items() if name in _MEMBERS}
    members |= {name: tuple(members[name] or ()) for name in ("hits", "catalogs", "values", "whys", "like", "unlike")}
    return Result(**members, steps=tuple(steps), lead=lead, _source=source._replace(trace=None))


def _cell(text: str) -> str:
    line = inert(text)
    return escape(line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…")
