"""Checks a backup and puts it in the place of a database: all of it, or nothing has changed."""

import hashlib
import json
import subprocess  # nosec B404  # started from lists of our own, without a shell
import tempfile
import threading
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader

from brokerhub.backup import seals
from brokerhub.backup.programs import BackupError, reason, server_version, start
from brokerhub.backup.writing import DUMP, FORMAT, MANIFEST, PIECE, SEAL, VERSION

# The new schema belongs to whom the first one did, so that the next dump looks the same. Nobody is waited for long:
# a hub that runs holds its tables, and has to be stopped first.
BEFORE = b"""BEGIN;
SET LOCAL lock_timeout = '10s';
SET LOCAL client_min_messages = warning;
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;
ALTER SCHEMA public OWNER TO pg_database_owner;
GRANT USAGE ON SCHEMA public TO PUBLIC;
"""
AFTER = b"\nCOMMIT;\n"
OTHERS = """SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
    AND backend_type = 'client backend' AND pid <> pg_backend_pid())"""
IN_USE = BackupError("The database is in use: stop the web server, the workers and beat first. Nothing has changed.")


@dataclass(frozen=True)
class Backup:
    """A file that is complete and unchanged since it was made."""

    path: Path
    manifest: dict[str, Any]
    is_ours: bool  # sealed with a key that is in CREDENTIALS_KEYS

    @property
    def migrations(self) -> set[tuple[str, str]]:
        return {(app, name) for app, _, name in (each.partition("/") for each in self.manifest["migrations"])}


def check(path: Path) -> Backup:
    """Read all of it and compare. Raises BackupError, which says what is wrong."""
    try:
        with zipfile.ZipFile(path) as archive:
            content, seal = archive.read(MANIFEST), archive.read(SEAL)
            is_ours = seals.check(content, seal)
            manifest: dict[str, Any] = json.loads(content)
            if (manifest["format"], manifest["version"]) != (FORMAT, VERSION):
                raise BackupError("This is a backup of another format; use the version of the hub that made it.")
            digest, size = hashlib.sha256(), 0
            with archive.open(DUMP) as dump:
                while piece := dump.read(PIECE):
                    digest.update(piece)
                    size += len(piece)
            if {"bytes": size, "sha256": digest.hexdigest()} != manifest["dump"]:
                raise BackupError("This backup's data were changed after it was made. Do not use it.")
            return Backup(path, manifest, is_ours)
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror}.") from error
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, EOFError) as error:
        raise BackupError(f"{path} is no complete backup of a hub: it was cut short, or is something else.") from error


def restore(database: BaseDatabaseWrapper, backup: Backup, *, replace: str = "", without_keys: bool = False) -> None:
    """Put the backup in the database's place. Raises BackupError; then the database is as it was.

    `replace` is the database's name where it holds people's data already. `without_keys` takes a backup whose key is
    not here: nobody knows then who made it, and what was sealed with the key stays unreadable.
    """
    if not backup.is_ours and not without_keys:
        keys = ", ".join(backup.manifest["credentials_keys"])
        raise BackupError(
            f"This backup was made with other CREDENTIALS_KEYS ({keys}). Set them, or say --without-keys: everybody "
            "then signs in at their brokers anew and sets up their second factor again. Be sure who made the file."
        )
    _check_versions(database, backup)
    name = str(database.settings_dict["NAME"])
    if _in_use(database):
        raise IN_USE
    if _holds_data(database) and replace != name:
        raise BackupError(f"The database {name} holds data, which would all be lost. To do so say --replace {name}")
    database.close()
    with zipfile.ZipFile(backup.path) as archive, archive.open(DUMP) as dump:
        _pour(database, dump)


def _check_versions(database: BaseDatabaseWrapper, backup: Backup) -> None:
    made_by, here = backup.manifest["postgresql"], server_version(database)
    if made_by > here:
        raise BackupError(f"This backup is of PostgreSQL {made_by}, and the server is {here}: use a newer server.")
    known = set(MigrationLoader(None).disk_migrations or ())
    if newer := sorted("/".join(each) for each in backup.migrations - known):
        raise BackupError(f"A newer hub made this backup ({newer[-1]} is not known here): install that version first.")


def _holds_data(database: BaseDatabaseWrapper) -> bool:
    """People, or tables that are none of the hub's."""
    with database.cursor() as cursor:
        tables = database.introspection.table_names(cursor)
        if "kernel_user" not in tables:
            return bool(tables)
        cursor.execute("SELECT EXISTS (SELECT FROM kernel_user)")
        return bool(cursor.fetchone()[0])


def _in_use(database: BaseDatabaseWrapper) -> bool:
    with database.cursor() as cursor:
        cursor.execute(OTHERS)
        return bool(cursor.fetchone()[0])


def _pour(database: BaseDatabaseWrapper, dump: IO[bytes]) -> None:
    """dump -> pg_restore -> psql, in one transaction. Whatever ends early, psql then never reads COMMIT."""
    with tempfile.TemporaryFile() as read_errors, tempfile.TemporaryFile() as write_errors:
        reader = start(database, "pg_restore", "--no-owner", "--no-privileges", "--file=-", errors=read_errors)
        quiet = ("--no-psqlrc", "--quiet", "--no-password", "--output=/dev/null", "--set=ON_ERROR_STOP=1")
        writer = start(database, "psql", *quiet, errors=write_errors)
        database.close()
        feeder = _Feeder(dump, reader)
        feeder.start()
        try:
            _copy(reader, writer, feeder)
        finally:
            reader.kill()  # where it has not ended: nobody reads any more what it writes
            feeder.join()
            for process in (reader, writer):
                _close(process)
                process.wait()
        if feeder.error is not None:
            raise BackupError(
                f"The backup cannot be read to its end, and nothing has changed: {feeder.error}"
            ) from feeder.error
        if writer.returncode != 0:
            raise _refused(reason(write_errors))
        if reader.returncode != 0:
            raise BackupError(f"pg_restore did not finish: {reason(read_errors)}")


class _Feeder(threading.Thread):
    """Gives the dump to pg_restore. What keeps it from reading on is in `error` when it has ended."""

    def __init__(self, dump: IO[bytes], reader: "subprocess.Popen[bytes]") -> None:
        super().__init__(name="restore-feeder")
        self.dump, self.reader = dump, reader
        self.error: Exception | None = None

    def run(self) -> None:
        assert self.reader.stdin is not None
        try:
            while piece := self.dump.read(PIECE):
                self.reader.stdin.write(piece)
            self.reader.stdin.close()
        except BrokenPipeError:
            return  # it ended early, and says why itself
        except Exception as error:  # the disk, or the archive: whatever it is, pg_restore must not wait for more
            self.error = error
            self.reader.kill()  # not an end of its input, which it might take for the whole

    def has_given_all(self) -> bool:
        """To be asked when pg_restore has ended, so that there is nobody left to wait for."""
        self.join()
        return self.error is None


def _close(process: "subprocess.Popen[bytes]") -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):  # of what is still in the buffer, when it has ended early
                pipe.close()


def _copy(reader: "subprocess.Popen[bytes]", writer: "subprocess.Popen[bytes]", feeder: _Feeder) -> None:
    assert reader.stdout is not None
    assert writer.stdin is not None
    try:
        writer.stdin.write(BEFORE)
        while piece := reader.stdout.read(PIECE):
            writer.stdin.write(piece)
        if reader.wait() == 0 and feeder.has_given_all():
            writer.stdin.write(AFTER)
        writer.stdin.close()
    except BrokenPipeError:
        reader.kill()  # psql ended early, and says why itself


def _refused(why: str) -> BackupError:
    if "lock timeout" in why:
        return IN_USE
    return BackupError(f"PostgreSQL refuses the restore, and nothing has changed: {why}")
