"""Which languages an encoder reads: by hand, with tokenizers that are lists of pieces, and the real model's."""

from __future__ import annotations

import re

import pytest

from attnsearch.encoding.encoder import reads
from attnsearch.syntax.foreign import OTHERS


class Pieces:
    """An encoder that cuts words into pieces of so many letters, except the words that it knows; "@" is unknown."""

    def __init__(self, size: int, known: frozenset[str] = frozenset()) -> None:
        self.size, self.known = size, known

    def spans(self, text: str) -> list[tuple[int, int]]:
        spans = []
        for word in re.finditer(r"\w+|[^\w\s]", text):
            size = len(word[0]) if word[0] in self.known else self.size
            spans += [(start, min(start + size, word.end())) for start in range(word.start(), word.end(), size)]
        return spans

    def tokens(self, text: str) -> list[str]:
        return ["<s>", *("<unk>" if "@" in text[a:b] else text[a:b] for a, b in self.spans(text))]


GERMAN = "ein Buch über den Krieg"


def test_latin_text():
    assert reads(Pieces(9), GERMAN)
    assert not reads(Pieces(2), GERMAN)
    assert reads(Pieces(2), "a book about the war")
    assert reads(Pieces(2), "?! 12")


def test_a_long_text_takes_time_by_its_length(monkeypatch):
    """Not each word with each piece."""
    compared = 0

    class Place(int):
        def __lt__(self, other):
            nonlocal compared
            compared += 1
            return int(self) < int(other)

        __gt__ = __le__ = __ge__ = __lt__

    encoder = Pieces(9)
    spans = encoder.spans("not " * 2_000)
    monkeypatch.setattr(encoder, "spans", lambda text: [(Place(start), stop) for start, stop in spans])
    assert reads(encoder, "not " * 2_000)
    assert 2_000 < compared < 40 * 2_000


def test_an_encoder_that_knows_the_language():
    long = {word for word in OTHERS["German"] if len(word) >= 4}
    some = frozenset(sorted(long)[: len(long) // 2])
    assert not reads(Pieces(2, some), GERMAN)
    assert reads(Pieces(2, frozenset(long)), GERMAN)


@pytest.mark.parametrize(
    ("text", "size", "is_read"),
    [
        ("книга о войне", 1, False),
        ("книга о войне", 3, True),
        ("книга о войне по Tolstoy and Chekhov", 1, True),  # most of it is Latin
        ("π", 1, True),
        ("战争与和平", 1, True),  # a piece a character is usual
        ("战@@争", 1, False),
        ("战争" * 10 + "@", 1, True),
        ("战争" * 3 + "@", 1, False),
        ("शांति के बारे में", 1, True),
        ("శాంతి గురించి", 1, True),
    ],
)
def test_other_scripts(text, size, is_read):
    assert reads(Pieces(size), text) is is_read


FOREIGN = [
    "Kochrezepte mit Kürbis für den Winter", "Biografie eines berühmten Malers", "Wie schreibe ich eine Bewerbung",
    "Einfluss von Lärm auf den Schlaf", "recettes de saison avec du potiron", "biographie d'un peintre célèbre",
    "comment écrire une lettre de motivation", "quelles plantes poussent à l'ombre",
    "influence du bruit sur le sommeil",
    "recetas de invierno con calabaza", "cómo escribir una carta de presentación", "qué plantas necesitan poca luz",
    "ricette invernali con la zucca", "audiolibri divertenti per bambini", "influenza del rumore sul sonno",
    "winterse recepten met pompoen", "hoe schrijf ik een sollicitatiebrief", "grappige luisterboeken voor kinderen",
    "como escrever uma carta de apresentação", "quais plantas precisam de pouca luz", "vinterrecept med pumpa och ost",
    "hur skriver jag ett personligt brev", "zimowe przepisy z dynią", "wpływ hałasu na sen",
    "zimní recepty s dýní", "balkabağı ile kış tarifleri", "biografia unui pictor celebru",
    "egy híres festő életrajza", "hvordan skriver jeg en ansøgning", "зимние рецепты с тыквой",
    "життєпис відомого художника", "南瓜做的冬季菜谱", "有名な画家の伝記", "وصفات شتوية باليقطين",
    "βιογραφία διάσημου ζωγράφου", "खाली फ़ोल्डर कैसे हटाएँ", "สูตรอาหารฤดูหนาวกับฟักทอง", "호박으로 만드는 겨울 요리",
    "מתכוני חורף עם דלעת", "猫について",
]  # fmt: skip
ENGLISH = [
    "winter recipes with pumpkin", "how to write a cover letter", "Vincent van Gogh letters", "Manuel de Falla",
    "Charles de Gaulle memoirs", "Oscar de la Renta", "Côte d'Ivoire cocoa", "Die Zauberflöte", "Le Petit Prince",
    "der Ring des Nibelungen recording", "crème caramel", "steak au poivre", "crêpes suzette", "carne asada tacos",
    "smørrebrød with herring", "paella de marisco recipe", "in vitro fertilisation", "de novo mutations",
    "in situ hybridization of mRNA", "Staphylococcus aureus biofilm", "acetylcholinesterase inhibitors", "déjà vu",
    "pro- and anti-inflammatory cytokines", "laissez faire economics", "doppelgänger stories", "du -sh *",
    "kernel oops in ext4_da_write_begin", "mkfs.ext4 /dev/sda1", "std::move semantics", "cp -a src dst", "LM317T",
    "Dyson V11 battery", "DeWalt DCD791", "Philips Hue E14", "brocolli and chedder", "resipes for kidz",
    "scarry storys abot gosts", "recomend me a bok", "hypercholesterolemia in zebrafish", "ΔG of TGF-β", "β",
]  # fmt: skip


@pytest.mark.real
def test_the_default_model(real):
    assert [text for text in FOREIGN if reads(real, text)] == []
    assert [text for text in ENGLISH if not reads(real, text)] == []
