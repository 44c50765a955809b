"""A field, and its stored values → what messages say of it: its range, what can't be read, what is near a value."""

from __future__ import annotations

from attnsearch.errors import InputError
from attnsearch.postings.conditions import EQUALITIES, Filter, fold_text, readings_of, suits
from attnsearch.postings.values import Values
from attnsearch.sources.fields import OWN, suggest_name
from attnsearch.sources.kinds import NO, YES, Kind, KindName
from attnsearch.sources.numbers import LONGEST
from attnsearch.storage.store import Store
from attnsearch.syntax.nearest import find_nearest
from attnsearch.syntax.values import WRAPPERS, content_of

COMPARED = 20_000  # values, at most, that are compared with one that no item has

_UNREAD = {"number": "number IS NULL", "date": "begin IS NULL", "mixed": "number IS NULL AND begin IS NULL"}
_PLURALS = {"number": "numbers", "date": "dates", "yes/no": "yes or no", "mixed": "numbers or dates", "text": "text"}


def is_mentioned(store: Store, name: str) -> bool:
    """Whether an item may have the field: if not, no item need be read to know that none has."""
    outer, _, last = name.rpartition(".")
    names = {name, outer} if last in WRAPPERS else {name}
    if names & store.info.fields.own:
        return True
    return any(map(store.mentions, names | {part.rpartition(".")[2] for part in names}))


class UnknownFieldError(InputError):
    """No item has a value in the field; some have it without a value if it `is_there`."""

    is_there = False


def unknown_field(store: Store, name: str, *, is_there: bool) -> UnknownFieldError:
    """The error for a field without values; whether it `is_there`, but empty in every item.

    The hint takes all names that the catalog knows.
    """
    if is_there:
        error = UnknownFieldError(f"no item of {store.info.name} has a value in '{name}'")
        error.is_there = True
        return error
    names = {field.name for field in store.fields()}.difference(OWN)
    hint = suggest_name(name, sorted(names), OWN)
    return UnknownFieldError(f"no item of {store.info.name} has a field '{name}'", hint=hint)


def check_filter(values: Values, where: Filter) -> Kind:
    """The kind of a filter's field. Raises InputError for a value that can't be compared with values of this kind.

    A value that some item has just so is always equal to it.
    """
    kind = values.kind
    for value, is_suitable in zip(where.values, suits(where, kind), strict=True):
        if not is_suitable and not (where.op in EQUALITIES and values.has_value(content_of(value))):
            raise _unsuitable(values, where.field, value, kind)
    return kind


def _unsuitable(values: Values, name: str, value: str, kind: Kind) -> InputError:
    """What is wrong with a filter's value."""
    value = value.strip()
    if content_of(value) is None:
        return InputError(f"--where: {value} stands for no value", hint=f"ask for 'not has {name}'")
    if readings := readings_of(value, kind):
        hint = "write the one that you mean"
        return InputError(f"{name}: '{value}' can mean {' or '.join(readings)}", hint=hint)
    if kind.name == "yes/no":
        return InputError(f"{name} is yes or no, and has no order; it can't be compared with '{value}'",
                          hint=f"write '{name} = yes'")  # fmt: skip
    from attnsearch.postings.wordings import read_range  # which a valid filter does without

    lowest, highest = _read_range(values, kind)
    is_kind = "has numbers or dates, and text" if kind.name == "mixed" else f"is a {kind.name}"
    hint = f"write a {'number or a date' if kind.name == 'mixed' else kind.name}, or ~ for a part of its text"
    if ends := read_range(value):
        hint = f"write '{name} between {ends[0]} and {ends[1]}'"
    extent = f" ({lowest} … {highest})" if lowest else ""
    return InputError(f"{name} {is_kind}{extent}; '{value}' is not one", hint=hint)


def _read_range(values: Values, kind: Kind) -> tuple[str, str]:
    """The lowest and the highest number or date, as they are written; empty if there is none."""
    for measure in ("begin",) if kind.name == "date" else ("number", "begin"):
        if ends := values.ends(measure):
            return ends
    return "", ""


def describe_unread(values: Values, kind: Kind) -> str:
    """How many values of a field can't be read as its kind, with one of them, the commonest."""
    words = YES + NO if kind.name == "yes/no" else ()
    unread = f"folded NOT IN ({', '.join('?' * len(words))})" if words else _UNREAD[kind.name]
    counted = values.count_where(unread, *words)
    example = min(counted, key=lambda value: (-counted[value], value))
    readings = readings_of(example, kind)
    doubt = f", which can mean {' or '.join(readings)}" if readings else ""
    counts = f"{kind.unread:,} of {kind.values:,} values are not {_PLURALS[kind.name]}"
    return f"{counts}, such as '{example}'{doubt}"


def measured_kind(values: Values, *, is_date: bool) -> Kind:
    """The kind of a field whose dates, or numbers, are measured: of a mixed one, the others count as unread."""
    kind = values.kind
    if kind.name != "mixed":
        return kind
    name: KindName = "date" if is_date else "number"
    return kind._replace(name=name, unread=values.count_where(_UNREAD[name]).total())


def describe_unmeasured(values: Values, name: str) -> str:
    """What a field has, most of whose values are neither numbers nor dates."""
    kind = values.kind
    if kind.name == "mixed" and kind.unread:
        return f"{name}: {describe_unread(values, kind)}"
    words = {"text": "is text", "yes/no": "is yes or no", "mixed": "has numbers and dates, and neither are most of it"}
    return f"the field '{name}' {words.get(kind.name, 'has numbers that are too large')}"


def find_near_value(values: Values, value: str) -> str | None:
    """The text most like another: the same but for case and accents, else one of nearly the same length.

    None if nothing is like it, or if the field has no text.
    """
    if values.kind.name not in ("text", "mixed"):
        return None
    folded = fold_text(value.strip())
    if same := values.count_where("folded = ?", folded):
        return min(same)
    if len(folded) > LONGEST:
        return None
    near = values.count_where("length(folded) BETWEEN ? AND ?", len(folded) - 2, len(folded) + 2)
    commonest = sorted(near, key=lambda text: (-near[text], text))[:COMPARED]
    text_of = {fold_text(text): text for text in reversed(commonest)}
    matches = find_nearest(folded, text_of)
    return text_of[matches[0]] if matches else None
