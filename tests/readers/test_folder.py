"""A folder: which of its files are read, what they give, and what its digest notices."""

from __future__ import annotations

import hashlib
import itertools
import tracemalloc

import pytest

from attnsearch.errors import InputError
from attnsearch.readers.folder import folder_digest, list_files, read_sources
from attnsearch.syntax.formats import Reading


@pytest.fixture
def notes(tmp_path, monkeypatch):
    """A folder of everything; its name is `notes`."""
    monkeypatch.chdir(tmp_path)
    files = {
        "notes/b.md": "# Lamp\nLight.",
        "notes/a/z.txt": "Plain.",
        "notes/a.csv": "id,title\n1,Kettle\n2,Hose\n",
        "notes/item.yaml": "title: Spade\n",
        "notes/list.json": '{"data": [{"title": "Rake"}]}',
        "notes/settings.yaml": "port: 80\n",
        "notes/photo.png": "…",
        "notes/.hidden.md": "x",
        "notes/.git/config.md": "x",
        "notes/deep/er/c.MD": "text",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (tmp_path / "notes" / "zero.txt").write_bytes(b"a\0b")
    (tmp_path / "outside.md").write_text("secret")
    (tmp_path / "notes" / "link.md").symlink_to(tmp_path / "outside.md")
    (tmp_path / "notes" / "loop").symlink_to(tmp_path / "notes")
    return tmp_path / "notes"


def read(*sources, **reading):
    files = read_sources(sources, reading=Reading(**reading))
    return [(where, [record.get("title") for record in file.items]) for where, file in files]


def test_every_file_that_can_be_read(notes, caplog):
    assert read("notes") == [
        ("notes/a/z.txt", ["z"]),
        ("notes/a.csv", ["Kettle", "Hose"]),
        ("notes/b.md", ["Lamp"]),
        ("notes/deep/er/c.MD", ["c"]),
        ("notes/item.yaml", ["Spade"]),
        ("notes/list.json", ["Rake"]),
    ]
    assert caplog.messages[-1] == (
        "notes: 6 files; not read: 2 hidden, 2 linked, 1 of other kinds, 1 without a title or text, 1 not text"
    )


@pytest.mark.parametrize(
    ("glob", "names"),
    [
        ("*.md", ["b.md"]),
        ("*.[mM][dD]", ["b.md", "deep/er/c.MD"]),
        ("**/*.MD", ["deep/er/c.MD"]),
        ("deep/**", ["deep/er/c.MD"]),
        ("**/er/*", ["deep/er/c.MD"]),
        ("deep/**/er/**/c.*", ["deep/er/c.MD"]),
        ("*/*.txt", ["a/z.txt"]),
        ("/b.md", ["b.md"]),
        ("?.md", ["b.md"]),
        ("deep/*", []),
        ("*.png", ["photo.png"]),
    ],
)
def test_a_pattern(notes, glob, names):
    assert [path.relative_to(notes).as_posix() for path in list_files(notes, glob)[0]] == names


def test_a_pattern_for_other_kinds_reads_text(notes):
    assert read("notes", glob="*.png") == [("notes/photo.png", ["photo"])]


def test_a_markdown_file_by_itself_is_an_item(notes):
    assert read("notes/b.md", "notes/item.yaml") == [("notes/b.md", ["Lamp"]), ("notes/item.yaml", ["Spade"])]


def test_nothing_to_read(notes, tmp_path):
    with pytest.raises(InputError, match=r"notes: no files to read; there are 2 hidden, .* 9 of other names"):
        read("notes", glob="*.xml")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: no files to read$"):
        read("empty")
    (tmp_path / "empty" / "x.py").write_text("pass")
    with pytest.raises(InputError, match="there are 1 of other kinds; --glob"):
        read("empty")
    for glob in ("", "/", "*" * 2000):
        with pytest.raises(InputError, match="invalid --glob"):
            read("notes", glob=glob)


def test_a_large_binary_file_costs_no_memory(tmp_path):
    (tmp_path / "a.md").write_text("# Lamp")
    with (tmp_path / "b.txt").open("wb") as stream:
        stream.truncate(64 << 20)
    tracemalloc.start()
    try:
        assert len(read(str(tmp_path))) == 1
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_name_is_no_title_beside_documents(tmp_path):
    """Many a folder of notes has a file with the settings of a program, which has a name."""
    (tmp_path / "package.json").write_text('{"name": "notes", "private": true}')
    names = [name for name, _ in read_sources([str(tmp_path)])]
    assert names == [str(tmp_path / "package.json")]
    (tmp_path / "a.md").write_text("# Lamp")
    (tmp_path / "b.json").write_text('{"title": "Kettle", "name": "k"}')
    (tmp_path / "c.json").write_text('{"name": "Spoon", "description": "Stirs."}')

    def read(**options):
        return [name.rpartition("/")[2] for name, _ in read_sources([str(tmp_path)], **options)]

    assert read() == ["a.md", "b.json", "c.json"]
    assert read(given=["name"]) == ["a.md", "b.json", "c.json", "package.json"]


def test_a_broken_file_is_named(notes):
    (notes / "deep" / "x.yaml").write_text("- a: [\n")
    with pytest.raises(InputError, match=r"notes/deep/x\.yaml:2: not YAML"):
        read("notes")


def digest_of_reading(glob=None):
    digest = hashlib.sha256()
    for _, file in read_sources(["notes"], reading=Reading(glob=glob), observers=[digest.update]):
        list(file.items)
    return digest.hexdigest()


@pytest.mark.parametrize("glob", [None, "*.md"])
def test_the_digest_is_that_of_what_was_read(notes, glob):
    assert digest_of_reading(glob) == folder_digest("notes", glob) == folder_digest(f"{notes}/", glob)


def edit(path):
    path.write_text("other")


def swap_names(path):
    path.rename(path.with_name("t.md"))
    path.with_name("a.csv").rename(path)


CHANGES = {
    "edited": edit,
    "added": lambda path: path.with_name("new.md").write_text(""),
    "removed": lambda path: path.unlink(),
    "renamed": lambda path: path.rename(path.with_name("c.md")),
    "moved": lambda path: path.rename(path.parent / "deep" / path.name),
    "swapped": swap_names,
    "not text": lambda path: path.with_name("zero.txt").write_bytes(b"a\0c"),
    "settings": lambda path: path.with_name("settings.yaml").write_text("port: 81"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_digest_notices(notes, change):
    before = folder_digest("notes")
    CHANGES[change](notes / "b.md")
    assert folder_digest("notes") != before
    assert digest_of_reading() == folder_digest("notes")


def test_the_digest_ignores_what_is_not_read(notes):
    before = folder_digest("notes")
    (notes / "photo.png").write_text("another")
    (notes / ".git" / "HEAD").write_text("x")
    assert folder_digest("notes") == before


def test_files_are_read_one_by_one(notes):
    """A later file is opened only when the one before it was read to its end."""
    (notes / "z.yaml").write_text("- [")
    names = [where for where, _ in itertools.islice(read_sources(["notes"]), 3)]
    assert names == ["notes/a/z.txt", "notes/a.csv", "notes/b.md"]
