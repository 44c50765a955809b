"""What a user may write for a catalog in a database."""

from __future__ import annotations

import pytest

from attnsearch.errors import InputError
from attnsearch.postgres.address import parse_address
from attnsearch.storage.files import is_address


class TestAddress:
    @pytest.mark.parametrize(
        ("ref", "shown", "parameters"),
        [
            ("postgresql://me:secret@db:5433/lib/books", "postgresql://me@db:5433/lib/books",
             {"user": "me", "password": "secret", "host": "db", "port": "5433", "dbname": "lib"}),
            ("postgres://db/lib/books", "postgresql://db/lib/books", {"host": "db", "dbname": "lib"}),
            ("postgresql:///lib/books?host=/run/pg&sslmode=require&password=secret", "postgresql:///lib/books?host=/run/pg",
             {"host": "/run/pg", "sslmode": "require", "password": "secret", "dbname": "lib"}),
            ("postgresql://[::1]:5432/lib/books", "postgresql://[::1]:5432/lib/books",
             {"host": "::1", "port": "5432", "dbname": "lib"}),
        ],
    )  # fmt: skip
    def test_parts(self, ref, shown, parameters):
        address = parse_address(ref)
        assert is_address(ref)
        assert (address.name, address.schema, address.shown) == ("books", "attnsearch_books", shown)
        assert address.parameters == parameters
        assert "secret" not in repr(address)

    def test_name_with_spaces_and_marks(self):
        for ref in (
            "postgresql://h/d/Größe 1",
            "postgresql://h/d/Gr%C3%B6%C3%9Fe%201",
            "postgresql://h/d/Gro\u0308ße 1",
        ):
            assert parse_address(ref).name == "Größe 1"

    def test_one_part_can_mean_two_things(self):
        with pytest.raises(InputError) as error:
            parse_address("postgresql://me:secret@host/books")
        assert "postgresql://HOST/books/NAME or postgresql://HOST/DATABASE/books" in str(error.value)
        assert "secret" not in str(error.value)

    @pytest.mark.parametrize(
        "ref",
        [
            "postgresql://", "postgresql://me:secret@h", "postgresql://h/", "postgresql://h//books",
            "postgresql://h/a/b/c", "postgresql://h/a/b/", "postgresql://me:sec/ret@h", "postgresql://me:sec/ret@h/a/b",
            "postgresql://h:port/a/b", "postgresql://h/a/b?nonsense=1", "postgresql://h/a/b\0c",
            "postgresql://h/a/b\nc", "postgresql://h/a/..", "postgresql://h/a/%", "postgresql://h/a/%00",
            "postgresql://me:%secret@h/a/b", "postgresql://h/a/b?secret=@x", "postgresql://h/a/b?password=%secret", "postgresql://h/a/\udcff",
        ],
    )  # fmt: skip
    def test_refused(self, ref):
        with pytest.raises(InputError) as error:
            parse_address(ref)
        assert not any(part in str(error.value) for part in ("secret", "sec/ret", "ret@"))

    def test_what_is_wrong(self):
        for ref, reason in (
            ("postgresql://me:secret@h/a/b?sslmod=require", 'invalid URI query parameter: "sslmod"'),
            ("postgresql://me:sec/ret@h/a/b", "in a password, / is written %2F, and @ %40"),
        ):
            with pytest.raises(InputError) as error:
                parse_address(ref)
            assert reason in str(error.value)
            assert "ret@" not in str(error.value)

    def test_name_is_no_longer_than_a_schema(self):
        assert len(parse_address(f"postgresql://h/d/{'a' * 52}").schema) == 63
        with pytest.raises(InputError, match="64 bytes"):
            parse_address(f"postgresql://h/d/{'a' * 53}")

    def test_without_psycopg(self, monkeypatch):
        monkeypatch.setattr("attnsearch.postgres.address.find_spec", lambda name: None)
        with pytest.raises(InputError, match=r"pip install 'attnsearch\[postgres\]'"):
            parse_address("postgresql://h/d/n")
