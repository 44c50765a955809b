"""The languages whose word endings BM25 can do without, by name and by code."""

from __future__ import annotations

from attnsearch.errors import InputError

ENGLISH = "english"  # of a catalog that names no language
NONE = "none"  # words count as they are written

# The algorithms of Snowball, by ISO 639-1: https://snowballstem.org/algorithms/
_CODES = {
    "ar": "arabic", "hy": "armenian", "eu": "basque", "ca": "catalan", "da": "danish", "nl": "dutch", "en": ENGLISH,
    "fi": "finnish", "fr": "french", "de": "german", "el": "greek", "hi": "hindi", "hu": "hungarian",
    "id": "indonesian", "ga": "irish", "it": "italian", "lt": "lithuanian", "ne": "nepali", "no": "norwegian",
    "nb": "norwegian", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian", "es": "spanish",
    "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip
LANGUAGES = (*dict.fromkeys(_CODES.values()), NONE)


def check_language(name: str) -> str:
    """The language of this name, or of this code of two letters. Raises InputError for another.

    >>> check_language("German"), check_language("de"), check_language("none")
    ('german', 'german', 'none')
    """
    language = _CODES.get(name.strip().lower(), name.strip().lower())
    if language not in LANGUAGES:
        hint = f"use one of {', '.join(LANGUAGES[:-1])}, its code such as 'de', or {NONE}"
        raise InputError(f"unknown language '{name[:80]}'", hint=hint)
    return language
