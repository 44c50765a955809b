"""How a catalog uses its model: what stands before the texts that it reads, and how much of its vectors counts."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from attnsearch.syntax import values

Role = Literal["query", "key"]

LONGEST_PROMPT = 20_000  # characters
WIDEST = 1 << 16  # numbers of a vector, at most


class Use(NamedTuple):
    """What stands before a request and before a key text, and how many numbers of a vector count: 0 stands for all.

    Some models were trained with such prompts: two maps of one text, as W_Q and W_K are.
    """

    query_prompt: str = ""
    key_prompt: str = ""
    dims: int = 0

    def prompt(self, role: Role) -> str:
        """What stands before a text of this role."""
        return self.query_prompt if role == "query" else self.key_prompt

    def of_keys(self) -> Use:
        """What of it decides the vectors of keys."""
        return self._replace(query_prompt="")

    def in_words(self) -> str:
        """Its parts in one line.

        >>> Use("query: ", "", 64).in_words(), PLAIN.in_words()
        ("'query: ' before requests, 64 dims", 'no prompts')
        """
        parts = [f"{self.query_prompt!r} before requests"] if self.query_prompt else []
        parts += [f"{self.key_prompt!r} before texts"] if self.key_prompt else []
        return ", ".join((parts or ["no prompts"]) + ([f"{self.dims} dims"] if self.dims else []))


class Wanted(NamedTuple):
    """What a user wants of a use; None leaves it as it is."""

    query_prompt: str | None = None
    key_prompt: str | None = None
    dims: int | None = None

    def over(self, use: Use) -> Use:
        """A use, with what is wanted of it."""
        return use._replace(**{name: value for name, value in self._asdict().items() if value is not None})


PLAIN = Use()
AS_USUAL = Wanted()


def check_wanted(wanted: Wanted) -> None:
    """Raise InputError for a prompt that no catalog can record."""
    for option, prompt in (("--query-prompt", wanted.query_prompt), ("--key-prompt", wanted.key_prompt)):
        values.check_text(prompt or "", option)
        if len(prompt or "") > LONGEST_PROMPT:
            raise values.too_long(prompt or "", "the prompt", LONGEST_PROMPT, where=option)


def use_as_json(use: Use | None) -> dict[str, Any] | None:
    """A use as docs/reference.md describes it."""
    return None if use is None else use._asdict()


def parse_use(value: Any) -> Use | None:
    """The use in a list of its parts, as JSON has it; None stays None. Raises TypeError or ValueError."""
    if value is None:
        return None
    query_prompt, key_prompt, dims = value
    use = Use(query_prompt, key_prompt, dims)
    if not (type(use.query_prompt) is type(use.key_prompt) is str and type(use.dims) is int):
        raise TypeError("a use holds values of other types")
    if max(map(len, use[:2])) > LONGEST_PROMPT or not 0 <= use.dims <= WIDEST:
        raise ValueError("there is no such use")
    "".join(use[:2]).encode()  # no half of a surrogate pair
    return use
