"""Makes a backup: a zip with PostgreSQL's own dump, a manifest with versions, row counts and checksum, and its seal."""

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from brokerhub.backup import seals
from brokerhub.backup.programs import BackupError, reason, server_version, start

FORMAT, VERSION = "broker-integration-hub-backup", 1
DUMP, MANIFEST, SEAL = "database.dump", "manifest.json", "seal.json"
SIGN_INS = ("django_session", "usersessions_usersession")  # whoever holds these is signed in: they stay behind
PIECE = 256 * 1024


def write_file(database: BaseDatabaseWrapper, path: Path) -> dict[str, Any]:
    """The backup at `path`, whole or not at all, readable by its owner only; its manifest. Raises BackupError."""
    if path.exists():
        raise BackupError(f"{path} exists already; a backup does not overwrite another.")
    draft = path.with_name(f"{path.name}.part")
    try:
        with os.fdopen(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            manifest = write(database, file)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    except OSError as error:
        raise BackupError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        draft.unlink(missing_ok=True)
    return manifest


def write(database: BaseDatabaseWrapper, file: IO[bytes]) -> dict[str, Any]:
    """The backup into `file`, which need not be seekable, all of it as the data are at one moment; its manifest."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive, _one_moment(database) as snapshot:
        digest, size = hashlib.sha256(), 0
        with archive.open(zipfile.ZipInfo(DUMP), "w", force_zip64=True) as entry:
            for piece in _dump(database, snapshot):
                entry.write(piece)
                digest.update(piece)
                size += len(piece)
        manifest = _described(database) | {"dump": {"bytes": size, "sha256": digest.hexdigest()}}
        content = json.dumps(manifest, indent=2).encode()
        archive.writestr(zipfile.ZipInfo(MANIFEST), content)
        archive.writestr(zipfile.ZipInfo(SEAL), seals.sealed(content))
    return manifest


@contextmanager
def _one_moment(database: BaseDatabaseWrapper) -> Iterator[str]:
    """A transaction that sees the data as they are now, and the name under which pg_dump sees the same."""
    with transaction.atomic(using=database.alias):
        with database.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SELECT pg_export_snapshot()")
            name = str(cursor.fetchone()[0])
        yield name


def _dump(database: BaseDatabaseWrapper, snapshot: str) -> Iterator[bytes]:
    without = [f"--exclude-table-data={name}" for name in SIGN_INS]
    arguments = ("--format=custom", "--no-owner", "--no-privileges", "--no-password", f"--snapshot={snapshot}")
    with tempfile.TemporaryFile() as errors:
        process = start(database, "pg_dump", *arguments, *without, errors=errors)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            while piece := process.stdout.read(PIECE):
                yield piece
        finally:
            process.stdout.close()
            process.wait()
        if process.returncode != 0:
            raise BackupError(f"pg_dump did not finish: {reason(errors)}")


def _described(database: BaseDatabaseWrapper) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "made_at": timezone.now().isoformat(),
        "postgresql": server_version(database),
        "credentials_keys": list(settings.CREDENTIALS_KEYS),  # their ids
        "migrations": sorted("/".join(name) for name in MigrationRecorder(database).applied_migrations()),
        "rows": _rows(database),
    }


def _rows(database: BaseDatabaseWrapper) -> dict[str, int]:
    counts: dict[str, int] = {}
    with database.cursor() as cursor:
        for name in sorted(set(database.introspection.table_names(cursor)) - set(SIGN_INS)):
            cursor.execute(f"SELECT count(*) FROM {database.ops.quote_name(name)}")
            counts[name] = cursor.fetchone()[0]
    return counts
