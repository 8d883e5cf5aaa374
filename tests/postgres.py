"""A PostgreSQL server of the test's own, from Debian's package: no cluster of the system is touched."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

USER = "postgres"  # whom root runs it as: the server refuses root
PASSWORD = "kept-secret"


@contextmanager
def server() -> Iterator[str]:
    """The address of an empty database, on a free port of 127.0.0.1; skips where a server or the driver is missing."""
    pytest.importorskip("psycopg", reason='no driver: pip install -e ".[search]"')
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        pytest.skip("no PostgreSQL in /usr/lib/postgresql: apt-get install postgresql")
    with tempfile.TemporaryDirectory(prefix="segtrain-postgres-", dir="/tmp") as name:  # a socket's path is short
        folder, port = Path(name), _free_port()
        (folder / "password").write_text(PASSWORD)
        as_user = _as_user(folder)
        control = [*as_user, str(programs[-1].with_name("pg_ctl")), "-D", str(folder / "data"), "-w"]
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        _run([*as_user, str(programs[-1]), *_of_cluster(folder)], folder)
        _run([*control, "-l", str(folder / "log"), "-o", options, "start"], folder)
        try:
            yield f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            _run([*control, "-m", "immediate", "stop"], folder)


def _of_cluster(folder: Path) -> list[str]:
    file = f"--pwfile={folder / 'password'}"
    return ["-D", f"{folder / 'data'}", "-U", USER, "-A", "scram-sha-256", file, "-E", "UTF8", "--no-locale", "-N"]


def _as_user(folder: Path) -> list[str]:
    """What stands before a command that must not run as root; the folder is then that user's."""
    if os.geteuid() != 0:
        return []
    if shutil.which("runuser") is None:
        pytest.skip("PostgreSQL refuses to run as root, and there is no runuser to run it as another")
    try:
        for path in (folder, folder / "password"):
            shutil.chown(path, USER)
    except LookupError:
        pytest.skip(f"PostgreSQL refuses to run as root, and there is no user {USER}")
    return ["runuser", "-u", USER, "--"]


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _run(command: Sequence[str], folder: Path) -> None:
    """In the folder, where that user may be; the output to a file: the server would hold a pipe open."""
    with (folder / "output").open("a+") as output:
        status = subprocess.run(command, cwd=folder, stdout=output, stderr=output, check=False).returncode
    log = folder / "log"
    said = (folder / "output").read_text() + (log.read_text() if log.exists() else "")
    assert status == 0, f"{' '.join(command)}: {said}"
