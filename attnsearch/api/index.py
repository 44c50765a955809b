"""A catalog open for questions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray

from attnsearch.api import arguments
from attnsearch.api.arguments import FilePath, Lexical, Names
from attnsearch.api.arrays import Arrays
from attnsearch.api.items import Field, Item, publish_field, publish_item
from attnsearch.api.result import Result, publish
from attnsearch.errors import AttnsearchError, InputError
from attnsearch.opening import index as search_index
from attnsearch.opening.items import find_ids
from attnsearch.search.search import rank_items, search
from attnsearch.sources.letters import normalize_text
from attnsearch.syntax.formats import Reading, check_form

if TYPE_CHECKING:
    from attnsearch.search.setting import Setting
    from attnsearch.storage.database import Info

_NO_PRIORS: Mapping[str, float] = {}


class Index:
    """A catalog open for questions: one state of it, which no later change of the catalog touches.

    Threads may share an index, and ask it at the same time; processes open one each. It has a length, the number of its
    items, which it yields in the order in which they were indexed; `index["dune"]` is the item of that id.
    A closed index raises ValueError.

    >>> with Index.open("library") as index:  # doctest: +SKIP
    ...     for hit in index.query("science fiction", k=3, where="year > 1950"):
    ...         print(f"{hit.weight:.1%} {hit.title}")
    """

    def __init__(self, opened: search_index.Index) -> None:
        if not isinstance(opened, search_index.Index):
            raise TypeError("open an index by its name: Index.open('library')")
        self._index = opened
        self._arrays = Arrays(opened)
        with suppress(AttnsearchError):  # which a query says, unless it does without
            _ = opened.learned  # of this state too: a later training is not seen

    @classmethod
    def open(
        cls,
        ref: FilePath | Iterable[FilePath] | None = None,
        *,
        from_: str | None = None,
        offline: bool = False,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> Self:
        """The catalog `ref`: a name, or a file, which is indexed first if it is new or changed; or several as one.

        Without `ref`, the catalog that `attnsearch query` asks without -c. A path object is always a file. `from_` is
        the format of a file that does not show it, such as "lines"; `offline` never downloads a model. `progress`: see
        `update`.

        Raises InputError (no such file, or it can't be read), CatalogError (no such catalog, or damaged), ModelError.
        """
        refs = [] if ref is None else arguments.check_paths(ref, "ref")
        if from_ is not None:
            check_form(arguments.check_text(from_, "from_"))
        reading, is_offline = Reading(from_), arguments.check_flag(offline, "offline")
        if len(refs) > 1:
            from attnsearch.opening.union import open_catalogs  # which most programs do without

            return cls(open_catalogs(refs, reading=reading, offline=is_offline, progress=progress))
        return cls(search_index.Index.open(*refs, reading=reading, offline=is_offline, progress=progress))

    @property
    def info(self) -> Info:
        """The catalog's record of itself: `name`, `model`, `d`, how many `items` and `keys`, when it was `updated`."""
        return self._index.info

    @property
    def fields(self) -> dict[str, Field]:
        """What the catalog knows of its fields, by name. Raises InputError for several catalogs."""
        if len(self._index.stores) > 1:
            raise InputError("fields are those of one catalog", where=self.info.name, hint="open that one")
        return {field.name: publish_field(field) for field in self._index.store.fields()}

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all items (n,), in the order in which they were indexed. Read from disk once."""
        self._index.store.check_open()
        return self._arrays.ids

    @property
    def keys(self) -> NDArray[np.float32]:
        """The keys (n, d), unit vectors, in the order of the items; of a long item, one for each passage in turn.

        The array is read-only, and made once: a copy of what is on disk. `owners` says whose each row is.
        """
        self._index.store.check_open()
        return self._arrays.keys

    @property
    def owners(self) -> NDArray[np.int64]:
        """For each row of `keys` (n,), the place of its item in `ids`. Read-only."""
        self._index.store.check_open()
        return self._arrays.owners

    def embed(self, texts: Iterable[str], *, role: Literal["query", "key"] = "query") -> NDArray[np.float32]:
        """The encoder's unit vectors (m, d) of texts: as queries, or as texts of items.

        Raises ModelError if the model fails.
        """
        checked = arguments.check_texts(texts, "texts")
        if role not in ("query", "key"):
            raise ValueError(f"role must be 'query' or 'key', not {role!r}")
        self._index.store.check_open()
        if not checked:
            return np.empty((0, self.info.d), np.float32)
        return self._index.encoder.encode(checked, role)

    def attend(
        self, texts: Iterable[str], *, where: Names = (), lexical: Lexical = None,
        priors: Mapping[str, float] = _NO_PRIORS, temperature: float | None = None,
        projections: FilePath | None = None, textbook: bool = False, untrained: bool = False, exact: bool = False,
    ) -> NDArray[np.float64]:  # fmt: skip
        """The weights (m, n) that queries give to all items, in the order of `ids`; each row sums to 1.

        Options as for `query`. Raises InputError if a filter hides all items, and as `query` does.
        """
        from attnsearch.search.weights import weigh_items

        checked = arguments.check_texts(texts, "texts")
        setting = self._setting(where, lexical, priors, temperature, projections, textbook, untrained, exact)
        return weigh_items(self._index, checked, setting)

    def query(
        self, text: str, *, like: Names = (), unlike: Names = (), k: int | None = None, top_p: float | None = None,
        min_weight: float = 0.0, min_score: float = -1.0, where: Names = (), lexical: Lexical = None,
        priors: Mapping[str, float] = _NO_PRIORS, temperature: float | None = None,
        projections: FilePath | None = None, textbook: bool = False, untrained: bool = False, exact: bool = False,
        values: Names = (), vector: bool = False, explain: bool = False,
    ) -> Result:  # fmt: skip
        """The items that fit a text best, each with its share of the attention over the whole catalog.

        like         items, by id or title, that the hits are to be like beside the text; `unlike` the opposite
        k            how many hits, 10 by default; with `top_p`, as many as it needs
        top_p        the fewest hits that hold this share of the attention
        min_weight   leaves out hits with a smaller weight, `min_score` those with a smaller cosine
        where        a filter such as "year >= 1990", or several that must all hold
        lexical      λ, the weight of shared words; "auto" is the learned one, else 0.3
        priors       fields of numbers or dates, each with its weight in logits
        temperature  τ: lower is sharper
        projections  a file of what another catalog has learned
        textbook     W_Q = I, and nothing learned
        untrained    nothing that this catalog has learned
        exact        misspelled words are not corrected
        values       fields to read out: `Result.values`
        vector       whether `Result.output` is wanted
        explain      whether `Result.whys` and `Result.steps` are

        Raises InputError for a filter that can't be read, and for a field or an item that is not there.
        """
        checked = arguments.check_text(text, "text")
        limits = arguments.check_limits(k, top_p, min_weight, min_score)
        setting = self._setting(where, lexical, priors, temperature, projections, textbook, untrained, exact)
        setting = setting._replace(like=self._idents(like, "like"), unlike=self._idents(unlike, "unlike"))
        return self._search([checked], setting, limits, values, vector=vector, explain=explain)[0]

    def like(
        self, items: Names, *, unlike: Names = (), k: int | None = None, top_p: float | None = None,
        min_weight: float = 0.0, min_score: float = -1.0, where: Names = (), priors: Mapping[str, float] = _NO_PRIORS,
        temperature: float | None = None, projections: FilePath | None = None, textbook: bool = False,
        untrained: bool = False, values: Names = (), vector: bool = False, explain: bool = False,
    ) -> Result:  # fmt: skip
        """The items most like these, by id or title: their own vectors are the query.

        The items themselves are not among the hits. Options as for `query`.
        """
        limits = arguments.check_limits(k, top_p, min_weight, min_score)
        setting = self._setting(where, None, priors, temperature, projections, textbook, untrained)
        setting = setting._replace(like=self._idents(items, "items"), unlike=self._idents(unlike, "unlike"))
        if not (setting.like or setting.unlike):
            raise ValueError("items is empty")
        return self._search([""], setting, limits, values, vector=vector, explain=explain)[0]

    def query_many(
        self, texts: Iterable[str], *, k: int | None = None, top_p: float | None = None, min_weight: float = 0.0,
        min_score: float = -1.0, where: Names = (), lexical: Lexical = None, priors: Mapping[str, float] = _NO_PRIORS,
        temperature: float | None = None, projections: FilePath | None = None, textbook: bool = False,
        untrained: bool = False, exact: bool = False, values: Names = (), vector: bool = False, explain: bool = False,
    ) -> list[Result]:  # fmt: skip
        """A result for each of many texts, asked together: much faster than one by one. Options as for `query`."""
        checked = arguments.check_texts(texts, "texts")
        limits = arguments.check_limits(k, top_p, min_weight, min_score)
        setting = self._setting(where, lexical, priors, temperature, projections, textbook, untrained, exact)
        return self._search(checked, setting, limits, values, vector=vector, explain=explain)

    def explain(
        self, text: str, item: str, *, over: str | None = None, where: Names = (), lexical: Lexical = None,
        priors: Mapping[str, float] = _NO_PRIORS, temperature: float | None = None,
        projections: FilePath | None = None, textbook: bool = False, untrained: bool = False, exact: bool = False,
    ) -> Result:  # fmt: skip
        """Why an item, by id or title, has its logit: a result with that hit alone, at its rank, and `whys`.

        `over` is another item: then there are both hits, and `lead` is why the first ranks above the second, or below.

        Raises InputError for an item that is not there or hidden by a filter, and as `query` does.
        """
        from attnsearch.explanation.reasons import compare_hits, explain_hits

        checked = arguments.check_text(text, "text")
        names = [arguments.check_text(item, "item"), *([] if over is None else [arguments.check_text(over, "over")])]
        setting = self._setting(where, lexical, priors, temperature, projections, textbook, untrained, exact)
        idents = find_ids(self._index.store, names)
        if len(set(idents)) < len(idents):
            raise ValueError(f"item and over are the same item, {idents[0]!r}")
        (result,) = explain_hits(self._index, [rank_items(self._index, checked, setting, idents)])
        return publish(result, compare_hits(result) if over is not None else None)

    def feedback(self, text: str, *, good: Names = (), bad: Names = ()) -> dict[str, float]:
        """Record which items, by id or title, are right for a text and which are wrong; `attnsearch train` learns it.

        The catalog remembers it at once: from then on it answers this text, and near paraphrases of it, as it was
        judged. Returns all grades of that text by id: 1 is right, 0 is wrong. A later judgment replaces an earlier one.

        Raises InputError for an item that is not there, CatalogError if the catalog can't be written.
        """
        from attnsearch.api.feedback import record_feedback

        checked = arguments.check_text(text, "text")
        return record_feedback(self._index, checked, self._idents(good, "good"), self._idents(bad, "bad"))

    def close(self) -> None:
        """End it. A call that is under way in another thread raises ValueError, or returns."""
        self._index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self.info.items

    def __iter__(self) -> Iterator[Item]:
        for key, item in self._index.store.items():
            yield publish_item(item, self._index.info_of(key).fields)

    def __getitem__(self, ident: str) -> Item:
        if not isinstance(ident, str):
            raise TypeError(f"an item's id must be a str, not {type(ident).__name__}")
        name = normalize_text(ident)
        keys = self._index.store.keys_of([name])
        if name not in keys:
            raise KeyError(ident)
        (span,) = self._index.store.spans_at(keys[name][:1])
        return publish_item(span.item, self._index.info_of(keys[name][0]).fields)

    def __contains__(self, item: object) -> bool:
        """Whether there is an item of this id, or this very item."""
        ident = item.id if isinstance(item, Item) else item
        if not isinstance(ident, str) or not self._index.store.keys_of([normalize_text(ident)]):
            return False
        return not isinstance(item, Item) or self[ident] == item

    def __repr__(self) -> str:
        closed = "" if self._index.store.is_open else ", closed"
        return f"<Index {self.info.name!r}: {self.info.items:,} items, {self.info.model}{closed}>"

    def _setting(self, *options: object) -> Setting:
        self._index.store.check_open()
        return arguments.check_setting(self.info.d, *options)

    def _idents(self, names: Names, option: str) -> tuple[str, ...]:
        return tuple(find_ids(self._index.store, arguments.check_names(names, option)))

    def _search(
        self, texts: Sequence[str], setting: Setting, limits: arguments.Limits, values: Names, *, vector: bool,
        explain: bool,
    ) -> list[Result]:  # fmt: skip
        from attnsearch.explanation.reasons import explain_hits

        explained = arguments.check_flag(explain, "explain")
        results = search(
            self._index,
            texts,
            setting,
            **limits._asdict(),
            values=arguments.check_names(values, "values"),
            output=arguments.check_flag(vector, "vector"),
            trace=explained,
        )
        return [publish(result) for result in (explain_hits(self._index, results) if explained else results)]


query = Index.query
