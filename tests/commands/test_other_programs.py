"""Small files in the forms in which other programs write catalogs; the first command reads them, and says what.

Their content is invented. The titles alone answer none of the questions.
"""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest

from attnsearch.sources.fields import Fields


class Export(NamedTuple):
    """The files of an export, by name; a question, and the title of the item that answers it; the fields that are read.

    `options` are what `index` needs besides the source.
    """

    files: dict[str, bytes]
    question: str
    answer: str
    fields: Fields
    options: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """What a person would index: the only file, else the folder."""
        names = list(self.files)
        return names[0] if len(names) == 1 else names[0].partition("/")[0]


def _file(name: str, text: str, encoding: str = "utf-8") -> dict[str, bytes]:
    return {name: text.encode(encoding)}


def _json(name: str, value: object, **style: int) -> dict[str, bytes]:
    return {name: json.dumps(value, ensure_ascii=False, **style).encode()}


def _lines(name: str, values: list[object]) -> dict[str, bytes]:
    return {name: "".join(json.dumps(value) + "\n" for value in values).encode()}


EXPORTS = {
    "a shop's products, with HTML": Export(
        _file(
            "products_export.csv",
            "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Variant SKU,Variant Price\n"
            'brass-whistle,Number 12,"<p>Whistles when the water boils. Fits <b>every</b> stove.</p>",Hearth & Co,'
            'Kettles,"kitchen, tea",true,NW-12,39.00\n'
            'dusk-lamp,Number 30,"<p>A warm light that dims by itself towards bedtime.</p>",Hearth & Co,'
            'Lamps,"bedroom, light",true,NW-30,24.50\n'
            'trail-pack,Number 41,"<ul><li>Carries a tent and food for three days</li></ul>",Farway,'
            'Bags,"outdoor",false,NW-41,89.00\n',
        ),
        "something to make tea with",
        "Number 12",
        Fields(("Handle",), "Title", ("Title", "Body (HTML)", "Tags")),
    ),
    "a shop's products, by Excel in German": Export(
        _file(
            "artikel.csv",
            "sku;name;description;price;in_stock\r\n"
            "K-1;Modell A;Keeps coffee hot on a long journey;19,90;ja\r\n"
            "K-2;Modell B;Grinds beans, fine or coarse;49,00;nein\r\n"
            "K-3;Modell C;Opens bottles and tins;7,50;ja\r\n",
            "utf-8-sig",
        ),
        "flask for hot drinks",
        "Modell A",
        Fields(("sku",), "name", ("name", "description")),
    ),
    "a workbook saved as Unicode text": Export(
        _file(
            "stock.txt",
            "Item\tName\tNotes\r\n1\tBox 7\tScrews and nails of all sizes\r\n2\tBox 8\tGlue, tape and string\r\n"
            '3\tBox 9\t"Sandpaper, coarse and fine"\r\n',
            "utf-16",
        ),
        "something sticky",
        "Box 8",
        Fields((), "Name", ("Name", "Notes")),
    ),
    "a reader's shelves": Export(
        _file(
            "library_export.csv",
            "Book Id,Title,Author,ISBN,My Rating,Date Read,Bookshelves,My Review\n"
            '101,The Long Way Down,Ada Brook,"=""0306406152""",5,2021/05/17,favorites,'
            '"A family crosses the desert with one camel, and learns to share water."\n'
            '102,Nine Doors,Ben Cole,"=""""",4,2020/11/02,mystery,"A locked house, nine suspects, no key."\n'
            '103,Small Hours,Cy Dane,"=""0140449132""",3,,to-read,"Poems that a night nurse wrote on her breaks."\n',
        ),
        "poetry written at work in a hospital",
        "Small Hours",
        Fields(("ISBN",), "Title", ("Title", "My Review", "Author")),
    ),
    "a library's books, tab-separated": Export(
        _file(
            "books.tsv",
            "Book Id\tTitle\tPrimary Author\tSummary\tTags\tRating\n"
            '7\tTide Tables\tEve Fold\tA lighthouse keeper counts the ships that never come back.\tsea, solitude\t4.5\n'
            '8\tThe "Good" Spoon\tGil Hart\tSoups for people who live alone.\tcooking\t4\n'
            "9\tLow Country\tIda Jones\tHow a people kept the sea out of their fields.\thistory, water\t3.5\n",
        ),
        "recipes for one person",
        'The "Good" Spoon',
        Fields(("Book Id",), "Title", ("Title", "Summary", "Tags")),
    ),
    "references as CSL JSON": Export(
        _json(
            "references.json",
            [
                {"id": "brook2019", "type": "article-journal", "title": "On Hedges",
                 "abstract": "Birds nest more often where hedgerows join woods.",
                 "author": [{"family": "Brook", "given": "Ada"}], "issued": {"date-parts": [[2019, 4]]}},
                {"id": "cole2020", "type": "book", "title": "Of Walls",
                 "abstract": "Why mortar made of lime outlives cement.",
                 "author": [{"family": "Cole", "given": "Ben"}], "issued": {"date-parts": [[2020]]}},
            ],
            indent=1,
        ),
        "building materials that last",
        "Of Walls",
        Fields(("id",), "title", ("title", "abstract")),
    ),
    "references of an interface, nested": Export(
        _json(
            "items.json",
            [
                {"key": "AB12", "version": 3, "data": {"title": "Slow Rivers", "abstractNote": "Meanders store floods.",
                                                       "itemType": "report", "tags": [{"tag": "water"}]}},
                {"key": "CD34", "version": 9, "data": {"title": "Fast Trains", "abstractNote": "Rails that stay true.",
                                                       "itemType": "report", "tags": [{"tag": "transport"}]}},
            ],
        ),
        "preventing high water",
        "Slow Rivers",
        Fields(("key",), "title", ("title", "abstractNote")),
    ),
    "issues of a tracker": Export(
        _file(
            "issues.csv",
            "Issue key,Summary,Status,Priority,Labels,Labels,Description\n"
            'APP-1,It stops,Open,High,login,,"After the password is typed wrong twice, the window closes."\n'
            'APP-2,It is slow,Done,Low,list,speed,"Scrolling through a thousand contacts takes a minute."\n'
            'APP-3,It is ugly,Open,Low,,,"The dark theme has black letters on gray."\n',
        ),
        "colors that can't be read",
        "It is ugly",
        Fields(("Issue key",), "Summary", ("Summary", "Description")),
    ),
    "issues of an interface": Export(
        _json(
            "search.json",
            {"startAt": 0, "total": 2, "issues": [
                {"id": "10", "key": "WEB-1", "fields": {"summary": "Page two", "description": "Lost after a refresh."}},
                {"id": "11", "key": "WEB-2", "fields": {"summary": "Page nine", "description": "Prints no images."}},
            ]},
        ),
        "pictures missing on paper",
        "Page nine",
        Fields(("id",), "summary", ("summary", "description")),
    ),
    "issues of a code host": Export(
        _json(
            "issues.json",
            [
                {"number": 4, "title": "Crash", "body": "It runs out of memory with large archives.", "state": "open",
                 "user": {"login": "ada"}, "labels": [{"name": "bug"}], "html_url": "https://example.org/4"},
                {"number": 5, "title": "Wish", "body": "Please let me sort the list by date.", "state": "closed",
                 "user": {"login": "ben"}, "labels": [], "html_url": "https://example.org/5"},
            ],
            indent=2,
        ),
        "order by time",
        "Wish",
        Fields((), "title", ("title", "body")),
    ),
    "titles of films, with \\N": Export(
        _file(
            "title.basics.tsv",
            "tconst\ttitleType\tprimaryTitle\toriginalTitle\tisAdult\tstartYear\tendYear\truntimeMinutes\tgenres\n"
            'tt01\tshort\t"M" Is Missing\t"M" Is Missing\t0\t1931\t\\N\t\\N\tCrime,Mystery\n'
            "tt02\tmovie\tThe Blue Kite\tThe Blue Kite\t0\t1993\t\\N\t140\tDrama\n"
            "tt03\tmovie\tTwo Left Feet\tTwo Left Feet\t0\t2001\t\\N\t95\tComedy,Musical\n",
        ),
        "a detective story",
        '"M" Is Missing',
        Fields(("tconst",), "primaryTitle", ("primaryTitle", "genres")),
    ),
    "a table of films": Export(
        _file(
            "films.csv",
            "Title,Year,Runtime,Genre,Overview\n"
            "The Answer,1998,101,Drama,A judge must decide about her own son.\n"
            "Monday,2004,88,Family,A swan learns to sing.\n"
            "The Answer,2015,97,Thriller,A radio host receives calls from a dead man.\n",
        ),
        "a bird",
        "Monday",
        Fields((), "Title", ("Title", "Overview", "Genre")),
    ),
    "charts of a repository": Export(
        _file(
            "index.yaml",
            "apiVersion: v1\nentries:\n  lantern:\n  - name: lantern\n    version: 2.1.0\n"
            "    description: Shows how much memory each service uses\n    created: 2024-03-01T10:00:00Z\n"
            "  - name: lantern\n    version: 2.0.0\n    description: Shows how much memory each service uses\n"
            "  postman:\n  - name: postman\n    version: 0.9.1\n    description: Delivers mail for a small office\n"
            "generated: 2024-03-02T10:00:00Z\n",
        ),
        "email server",
        "postman",
        Fields((), "name", ("name", "description")),
    ),
    "the description of an interface": Export(
        _json(
            "openapi.json",
            {"openapi": "3.0.0", "info": {"title": "Zoo", "version": "1"}, "paths": {
                "/animals": {"get": {"summary": "List animals", "description": "Who lives in the zoo today.",
                                     "operationId": "listAnimals"},
                             "post": {"summary": "Add an animal", "description": "For births and arrivals.",
                                      "operationId": "addAnimal"}},
                "/tickets": {"post": {"summary": "Buy", "description": "Pay for a visit of up to nine people.",
                                      "operationId": "buy"}}}},
            indent=2,
        ),
        "how much it costs to enter",
        "Buy",
        Fields(("id",), "summary", ("summary", "description")),
        ("--items", "paths"),
    ),
    "places on a map": Export(
        _json(
            "places.geojson",
            {"type": "FeatureCollection", "features": [
                {"type": "Feature", "id": "n1", "geometry": {"type": "Point", "coordinates": [7.1, 50.7]},
                 "properties": {"name": "Old Mill", "description": "Bread from a wood-fired oven, Saturdays only."}},
                {"type": "Feature", "id": "n2", "geometry": {"type": "Point", "coordinates": [7.2, 50.8]},
                 "properties": {"name": "High Seat", "description": "A view over three valleys, by a steep path."}},
            ]},
        ),
        "bakery",
        "Old Mill",
        Fields(("id",), "name", ("name", "description")),
    ),
    "an export of a document database": Export(
        _lines(
            "recipes.json",
            [
                {"_id": {"$oid": "5f1"}, "name": "Monday's", "steps": "Simmer lentils with carrots until soft.",
                 "added": {"$date": "2023-01-05T00:00:00Z"}},
                {"_id": {"$oid": "5f2"}, "name": "Sunday's", "steps": "Fold egg whites into melted chocolate.",
                 "added": {"$date": "2023-02-05T00:00:00Z"}},
            ],
        ),
        "a sweet dessert",
        "Sunday's",
        Fields(("_id",), "name", ("name", "steps")),
    ),
    "a list in YAML": Export(
        _file(
            "talks.yaml",
            "- &base\n  title: Opening\n  abstract: How the city got its first tram.\n  room: A\n"
            "- <<: *base\n  title: Closing\n  abstract: What bees can teach a team.\n",
        ),
        "insects",
        "Closing",
        Fields((), "title", ("title", "abstract")),
    ),
    "a mapping of mappings in YAML": Export(
        _file(
            "services.yml",
            "backup:\n  summary: Copies the data to another site every night\n  owner: ada\n"
            "gate:\n  summary: Checks who may come in\n  owner: ben\n",
        ),
        "authentication",
        "gate",
        Fields(("id",), "title", ("title", "summary")),
    ),
    "a folder of records": Export(
        {
            "software/alpha.yml": b"name: Alpha\ndescription: Shares calendars without a cloud.\nlicenses:\n- MIT\n",
            "software/beta.yml": b"name: Beta\ndescription: Streams your own music to your phone.\nlicenses:\n- GPL\n",
        },
        "listen to songs",
        "Beta",
        Fields((), "name", ("name", "description")),
    ),
    "a folder of notes": Export(
        {
            "notes/2024/bike.md": b"---\ntags: [workshop]\n---\n# Chain\n\nClean it, then oil each link from inside.\n",
            "notes/tea.md": b"# Green\n\nEighty degrees, two minutes, no more.\n",
            "notes/plan.txt": b"Ring the roofer about the leak before it rains again.\n",
        },
        "hot drink temperature",
        "Green",
        Fields(("id",), "title", ("title", "description", "tags")),
    ),
    "works of a catalog, with nested texts": Export(
        _json(
            "works.json",
            {"size": 2, "entries": [
                {"key": "/works/OL1", "title": "Salt", "description": {"type": "text", "value": "From sea to table."}},
                {"key": "/works/OL2", "title": "Iron", "description": "From ore to bridge."},
            ]},
        ),
        "metal",
        "Iron",
        Fields(("key",), "title", ("title", "description")),
    ),
    "posts of a site": Export(
        _json(
            "posts.json",
            [
                {"id": 12, "date": "2024-01-05T08:00:00", "title": {"rendered": "We&#8217;re back"},
                 "content": {"rendered": "<p>The bakery opens again after the flood.</p>", "protected": False}},
                {"id": 13, "date": "2024-02-05T08:00:00", "title": {"rendered": "News"},
                 "content": {"rendered": "<p>Two kittens need a home.</p>", "protected": False}},
            ],
        ),
        "adopt a pet",
        "News",
        Fields(("id",), "title", ("title", "content")),
    ),
    "papers, one-element lists": Export(
        _json(
            "works-page.json",
            {"status": "ok", "message": {"total-results": 2, "items": [
                {"DOI": "10.1/a", "title": ["On Frost"], "abstract": "<jats:p>Why windows grow ferns of ice.</jats:p>"},
                {"DOI": "10.1/b", "title": ["On Dust"], "abstract": "<jats:p>What settles on shelves.</jats:p>"},
            ]}},
        ),
        "cold weather patterns",
        "On Frost",
        Fields(("DOI",), "title", ("title", "abstract")),
    ),
    "papers, a line each": Export(
        _lines(
            "papers.jsonl",
            [
                {"id": "2101.1", "authors": "A. Brook", "title": "Note 1", "abstract": "Stars that dim in a rhythm."},
                {"id": "2101.2", "authors": "B. Cole", "title": "Note 2", "abstract": "Fish that find their stream."},
            ],
        ),
        "animal migration",
        "Note 2",
        Fields(("id",), "title", ("title", "abstract", "authors")),
    ),
    "a data frame with its index": Export(
        _file(
            "species.csv",
            ",scientific_name,common_name,habitat_notes\n"
            "0,Avis rubra,red bird,Nests in reeds beside slow water\n"
            "1,Avis nigra,black bird,Lives on roofs and in chimneys\n"
            "2,Avis alba,white bird,Breeds on bare rock above the sea\n",
        ),
        "birds in the city on top of houses",
        "Avis nigra",
        Fields((), "scientific_name", ("scientific_name", "habitat_notes")),
    ),
    "linked data": Export(
        _json(
            "events.jsonld",
            {"@context": "https://schema.org", "@graph": [
                {"@id": "urn:e1", "@type": "Event", "name": "Evening One", "description": "Dances of the mountains."},
                {"@id": "urn:e2", "@type": "Event", "name": "Evening Two", "description": "Stories told by the fire."},
            ]},
        ),
        "storytelling",
        "Evening Two",
        Fields(("@id",), "name", ("name", "description")),
    ),
    "a dump of a database, pipes": Export(
        _file(
            "customers.txt",
            "id|company|city|about\n1|Ash Ltd|Bonn|Repairs clocks and watches\n2|Elm Inc|Graz|Rents boats on the lake\n"
            "3|Oak SA|Metz|Teaches adults to swim\n",
        ),
        "hire a canoe",
        "Elm Inc",
        Fields(("id",), "company", ("company", "about")),
    ),
}  # fmt: skip


@pytest.fixture(params=EXPORTS.values(), ids=list(EXPORTS))
def export(request, write, tmp_path, monkeypatch) -> Export:
    """An export, whose files lie in the working folder."""
    for name, content in request.param.files.items():
        write(name, content)
    monkeypatch.chdir(tmp_path)
    return request.param


def test_the_first_command_reads_more_than_titles_and_says_what(export, run, small):
    code, out, _ = run("index", export.source, *export.options, "--name", "export")
    assert code == 0
    _, second = out.splitlines()
    assert second.startswith(f"read: {', '.join(export.fields.text)}")
    read = json.loads(run("index", export.source, *export.options, "--name", "export", "--json").out)["read"]
    assert Fields(tuple(read["id"]), read["title"], tuple(read["text"])) == export.fields
    hits = json.loads(run("query", "moon", "-c", "export", "-k", "99", "--json").out)["hits"]
    assert export.answer in {hit["title"] for hit in hits}
    for hit in hits:
        description = hit["description"].rstrip(".")  # of which a key text has no second one
        assert description not in ("", hit["title"])
        assert any(hit["title"] in text and description in text for text in small.read), hit["title"]


@pytest.mark.real
def test_the_question_finds_the_answer(export, run):
    assert run("index", export.source, *export.options, "--name", "export").code == 0
    hits = json.loads(run("query", export.question, "-c", "export", "--json").out)["hits"]
    assert hits[0]["title"] == export.answer
