"""How a catalog uses its model: what stands before the texts that it reads, and how much of its vectors counts."""

from __future__ import annotations

from typing import Literal, NamedTuple

Role = Literal["query", "key"]


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


PLAIN = Use()
