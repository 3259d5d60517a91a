"""The drill: books, people and secrets after a restore are what they were; what cannot be trusted is refused."""

import errno
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from brokerhub.backup import reading, writing
from brokerhub.backup.programs import BackupError
from brokerhub.embedded_servers import wait_until
from brokerhub.kernel.models import User
from connections.credentials import CredentialsUnreadable, unseal
from connections.models import Connection
from tests.journey.books import sync

pytestmark = pytest.mark.django_db(transaction=True)
CANARY = "refresh-token-canary"


@pytest.fixture
def target() -> Iterator[BaseDatabaseWrapper]:
    """Another database on the same server, empty."""
    server = os.environ["DATABASE_URL"]
    name = f"restored_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    other = connections["default"].copy(alias="restored")
    other.settings_dict = connection.settings_dict | {"NAME": name}
    connections["restored"] = other
    yield other
    other.close()
    del connections["restored"]
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def kept(person: User, tmp_path: Path) -> Path:
    """A backup of a hub with one person, who has one connection with a secret."""
    owned = Connection.objects.create(user=person, broker="schwab", method="schwab_oauth", label="Mine")
    owned.seal_credentials({"refresh_token": CANARY})
    owned.save()
    path = tmp_path / "hub.backup"
    writing.write_file(connection, path)
    return path


def fingerprints(database: BaseDatabaseWrapper) -> dict[str, str]:
    """Every table with a hash of all its rows."""
    found = {}
    with database.cursor() as cursor:
        for name in database.introspection.table_names(cursor):
            if name not in writing.SIGN_INS:
                cursor.execute(f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM \"{name}\" t")
                found[name] = cursor.fetchone()[0]
    return found


def without_rows(database: BaseDatabaseWrapper) -> bool:
    with database.cursor() as cursor:
        return database.introspection.table_names(cursor) == []


@pytest.mark.usefixtures("unpaced")
def test_after_a_restore_every_table_is_what_it_was(
    person: User, connect: Callable[..., Connection], sign_up: Any, target: BaseDatabaseWrapper, tmp_path: Path
) -> None:
    sync(connect(person, "james"))
    web = sign_up(person)
    assert web.get("/portfolio/").status_code == 200
    manifest = writing.write_file(connection, tmp_path / "hub.backup")
    assert manifest["rows"]["aggregation_transaction"] > 50
    before = fingerprints(connection)

    reading.restore(target, reading.check(tmp_path / "hub.backup"))
    assert fingerprints(target) == before
    with target.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_session")
        assert cursor.fetchone()[0] == 0, "nobody is signed in by somebody's copy"
        cursor.execute("SELECT sealed_credentials FROM connections_connection")
        sealed = bytes(cursor.fetchone()[0])
    owner = Connection.objects.get()
    owner.sealed_credentials = sealed
    assert owner.read_credentials()["refresh_token"]

    reading.restore(target, reading.check(tmp_path / "hub.backup"), replace=target.settings_dict["NAME"])
    assert fingerprints(target) == before, "and again, over what is there"
    with target.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal")
        triggers = cursor.fetchone()[0]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal")
        assert cursor.fetchone()[0] == triggers > 0


def test_a_backup_holds_no_secret_in_the_clear_and_is_its_owners_only(kept: Path, settings: Any) -> None:
    assert CANARY.encode() not in kept.read_bytes()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert list(kept.parent.iterdir()) == [kept], "no draft is left"
    with zipfile.ZipFile(kept) as archive:
        dump = archive.read(writing.DUMP)
    assert CANARY.encode() not in dump
    for key in settings.CREDENTIALS_KEYS.values():
        assert key not in dump


def test_without_its_keys_a_backup_is_refused_or_restored_with_secrets_nobody_can_read(
    kept: Path, settings: Any, target: BaseDatabaseWrapper
) -> None:
    settings.CREDENTIALS_KEYS = {"other": b"o" * 32}
    backup = reading.check(kept)
    with pytest.raises(BackupError, match="made with other CREDENTIALS_KEYS"):
        reading.restore(target, backup)
    assert without_rows(target)
    reading.restore(target, backup, without_keys=True)
    with target.cursor() as cursor:
        cursor.execute("SELECT id, sealed_credentials FROM connections_connection")
        row_id, sealed = cursor.fetchone()
    with pytest.raises(CredentialsUnreadable):
        unseal(bytes(sealed), owner=str(row_id))


def test_data_are_only_replaced_when_the_database_is_named(kept: Path, target: BaseDatabaseWrapper) -> None:
    backup = reading.check(kept)
    reading.restore(target, backup)
    before = fingerprints(target)
    for wrong in ("", "yes"):
        with pytest.raises(BackupError, match="holds data"):
            reading.restore(target, backup, replace=wrong)
    assert fingerprints(target) == before


def test_a_database_in_use_is_left_alone(kept: Path, target: BaseDatabaseWrapper) -> None:
    url = os.environ["DATABASE_URL"].replace("/brokerhub?", f"/{target.settings_dict['NAME']}?")
    with psycopg.connect(url), pytest.raises(BackupError, match="stop the web server"):
        reading.restore(target, reading.check(kept))
    assert without_rows(target)


def _cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _rewrite(path: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def _flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _change_the_data(path: Path) -> None:
    _rewrite(path, lambda files: files.update({writing.DUMP: files[writing.DUMP] + b"\n"}))


def _change_data_and_manifest(path: Path) -> None:
    def change(files: dict[str, bytes]) -> None:
        files[writing.DUMP] += b"\n"
        manifest = json.loads(files[writing.MANIFEST])
        dump = files[writing.DUMP]
        manifest["dump"] = {"bytes": len(dump), "sha256": hashlib.sha256(dump).hexdigest()}
        files[writing.MANIFEST] = json.dumps(manifest).encode()

    _rewrite(path, change)


def _take_the_seal_off(path: Path) -> None:
    _rewrite(path, lambda files: files.update({writing.SEAL: b"{}"}))


def _write_something_else(path: Path) -> None:
    path.write_bytes(b"PGDMP and nothing more")


@pytest.mark.parametrize(
    "harm",
    [_cut_short, _flip_a_bit, _change_the_data, _change_data_and_manifest, _take_the_seal_off, _write_something_else],
)
def test_an_interrupted_or_tampered_backup_is_refused(kept: Path, harm: Callable[[Path], None]) -> None:
    reading.check(kept)
    harm(kept)
    with pytest.raises(BackupError):
        reading.check(kept)


def test_a_backup_of_a_newer_hub_or_server_is_refused(kept: Path, target: BaseDatabaseWrapper) -> None:
    backup = reading.check(kept)
    backup.manifest["migrations"].append("kernel/9999_of_tomorrow")
    with pytest.raises(BackupError, match="newer hub"):
        reading.restore(target, backup)
    backup.manifest["migrations"].pop()
    backup.manifest["postgresql"] += 1
    with pytest.raises(BackupError, match="newer server"):
        reading.restore(target, backup)
    assert without_rows(target)


def test_a_restore_that_fails_halfway_changes_nothing(kept: Path, target: BaseDatabaseWrapper) -> None:
    backup = reading.check(kept)
    reading.restore(target, backup)
    before = fingerprints(target)
    with zipfile.ZipFile(kept) as archive:
        half = archive.read(writing.DUMP)[: archive.getinfo(writing.DUMP).file_size // 2]
    with pytest.raises(BackupError):
        reading._pour(target, io.BytesIO(half))
    assert fingerprints(target) == before


class _Unreadable(io.BytesIO):
    """Reads up to its end, and then cannot say that this is the end."""

    def __init__(self, content: bytes, error: Exception) -> None:
        super().__init__(content)
        self.error = error

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        if not piece:
            raise self.error
        return piece


@pytest.mark.timeout(60)  # pg_restore would wait for more, and psql for pg_restore, in an open transaction
@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), zipfile.BadZipFile("Bad CRC-32")], ids=str)
@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_a_restore_whose_file_can_no_longer_be_read_changes_nothing(
    kept: Path, target: BaseDatabaseWrapper, error: Exception, share: float
) -> None:
    reading.restore(target, reading.check(kept))
    before = fingerprints(target)
    target.close()
    with zipfile.ZipFile(kept) as archive:
        dump = archive.read(writing.DUMP)
    with pytest.raises(BackupError, match="cannot be read to its end"):
        reading._pour(target, _Unreadable(dump[: int(len(dump) * share)], error))
    assert fingerprints(target) == before


def test_a_killed_backup_leaves_no_file_that_looks_like_one(
    kept: Path, hub_environment: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(BackupError, match="exists already"):
        writing.write_file(connection, kept)
    killed = tmp_path / "killed.backup"
    with psycopg.connect(hub_environment["DATABASE_URL"]) as holder:
        holder.execute("LOCK TABLE connections_connection")  # pg_dump waits for it
        process = subprocess.Popen(
            [sys.executable, "manage.py", "backup", str(killed)], env=hub_environment, stdin=subprocess.DEVNULL
        )
        draft = killed.with_name("killed.backup.part")
        assert wait_until(draft.exists, 60)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not killed.exists()
    shutil.copy(draft, killed)
    with pytest.raises(BackupError, match="cut short"):
        reading.check(killed)


def test_the_commands_say_what_they_did(
    kept: Path, hub_environment: dict[str, str], target: BaseDatabaseWrapper, capfdbinary: Any
) -> None:
    base, _, query = hub_environment["DATABASE_URL"].partition("?")
    elsewhere = f"{base.rpartition('/')[0]}/{target.settings_dict['NAME']}?{query}"
    restored = subprocess.run(
        [sys.executable, "manage.py", "restore", str(kept)],
        env=hub_environment | {"DATABASE_URL": elsewhere},
        capture_output=True,
        text=True,
        check=False,
    )
    assert restored.returncode == 0, restored.stderr
    assert "A complete backup of 20" in restored.stdout
    assert "Restored." in restored.stdout
    call_command("backup", "-")
    kept.write_bytes(capfdbinary.readouterr().out)
    assert reading.check(kept).manifest["rows"]["kernel_user"] == 1
    call_command("restore", kept, "--check")
    with pytest.raises(CommandError, match=r"in use|holds data"):
        call_command("restore", kept)
