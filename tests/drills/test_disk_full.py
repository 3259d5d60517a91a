"""A disk fills up: what was begun is undone, everybody is told what to do, and with room again all of it is done."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import psycopg
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection as database
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from aggregation.models import Transaction
from brokerhub.kernel.models import User
from brokerhub.kernel.outages import NoRoom
from connections.brokers.calls import Operation
from connections.models import Connection
from sync import drafts, sync_service, tasks
from sync.import_models import DraftRow, DraftState, ImportDraft
from sync.models import ImportFile, RunState, SyncRun
from tests.aggregation.factories import a_connection, an_account
from tests.journey.books import differences, of_broker, of_hub
from tests.plugins.own_servers import OwnServers
from tests.plugins.sandbox_server import Sandbox
from tests.sync.runs import after_each_call, ask, work
from tests.sync.test_killed_worker import a_file, booked

TELLS_WHAT_TO_DO = "Whoever runs the hub has to make room"


def fill(table: type[Model]) -> None:
    """From now on PostgreSQL has no room for a new row of the table, and says so in its own way."""
    name = table._meta.db_table
    with database.cursor() as cursor:
        cursor.execute(
            "CREATE OR REPLACE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING "
            """ERRCODE = '53100', MESSAGE = 'could not extend file "base/1/2": No space left on device'; END $$"""
        )
        cursor.execute(f"CREATE TRIGGER no_room BEFORE INSERT ON {name} FOR EACH ROW EXECUTE FUNCTION no_room()")


def make_room(table: type[Model]) -> None:
    with database.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER no_room ON {table._meta.db_table}")


@contextmanager
def full(table: type[Model]) -> Iterator[None]:
    fill(table)
    yield
    make_room(table)


def go_on(run: SyncRun) -> SyncRun:
    """A minute later."""
    SyncRun.objects.filter(pk=run.pk).update(wait_until=None)
    return work(run)


def test_an_import_waits_for_room_and_is_whole_when_there_is_some(
    person: User, sign_up: Callable[[User], Client]
) -> None:
    account = an_account(a_connection(person))
    run = sync_service.request_import(user=person, account=account, name="rows.csv", content=a_file(300))
    with full(Transaction):
        assert work(run).state == go_on(run).state == RunState.WAITING
        assert run.attempts == 0, "so that it waits for as long as it takes"
        assert (run.fetched, booked(account)) == (0, [])
        page = sign_up(person).get(reverse("sync:run", args=[run.pk])).content.decode()
        assert "Waiting for room on the hub&#x27;s disk" in page
        assert TELLS_WHAT_TO_DO in page
    assert go_on(run).state == RunState.SUCCEEDED
    assert run.fetched == run.inserted == len(booked(account)) == 300
    undisturbed = an_account(a_connection(person))
    work(sync_service.request_import(user=person, account=undisturbed, name="rows.csv", content=a_file(300)))
    assert booked(account) == booked(undisturbed)


def test_a_sync_keeps_the_pages_it_has_and_reads_the_rest_when_there_is_room(
    connect: Callable[..., Connection], person: User, sandbox: Sandbox, unpaced: None
) -> None:
    run, pages = ask(connect(person)), list[int]()

    def after_two_pages() -> None:
        pages.append(1)
        if len(pages) == 3:
            fill(Transaction)

    with after_each_call(Operation.TRANSACTIONS, after_two_pages):
        assert work(run).state == RunState.WAITING
    assert run.fetched == run.inserted == Transaction.objects.count() > 0
    assert TELLS_WHAT_TO_DO in run.wait_reason
    make_room(Transaction)
    assert go_on(run).state == RunState.SUCCEEDED
    assert run.fetched == run.inserted + run.matched
    assert differences(of_hub(run.connection), of_broker(sandbox.truth())) == []


def test_the_check_of_a_file_waits_for_room_and_says_so(
    person: User, sign_up: Callable[[User], Client], settings: Any
) -> None:
    settings.IMPORT_CHECK_AT_ONCE_BYTES = 0
    account = an_account(a_connection(person))
    draft = drafts.begin(user=person, name="rows.csv", content=a_file(300))
    drafts.check(draft.pk)
    draft.refresh_from_db()
    places = {hint: {"account": account.pk} for hint in draft.found["hints"]}
    drafts.say(draft, format=draft.format, choices={}, accounts=places)
    with full(DraftRow):
        for _ in range(drafts.MOST_CHECKS + 2):
            with pytest.raises(NoRoom):
                drafts.check(draft.pk)
        draft.refresh_from_db()
        assert (draft.state, draft.rows.count()) == (DraftState.CHECKING, 0)
        assert TELLS_WHAT_TO_DO in sign_up(person).get(reverse("sync:draft", args=[draft.pk])).content.decode()
    tasks.check_draft(str(draft.pk))
    draft.refresh_from_db()
    assert (draft.state, draft.error, draft.rows.count()) == (DraftState.READY, "", 300)


def check_says_there_is_no_room(answer: Any) -> None:
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0
    assert TELLS_WHAT_TO_DO in answer.content.decode()


def an_upload(rows: int) -> SimpleUploadedFile:
    return SimpleUploadedFile("rows.csv", a_file(rows), "text/csv")


def test_an_upload_that_finds_no_room_is_refused_in_words_and_leaves_nothing(
    person: User, sign_up: Callable[[User], Client], token_client: Callable[..., APIClient]
) -> None:
    browser, program, account = sign_up(person), token_client(person), an_account(a_connection(person))
    browser.raise_request_exception = False
    with full(ImportDraft):
        check_says_there_is_no_room(browser.post(reverse("sync:import"), {"file": an_upload(30)}))
    with full(DraftRow):
        browser.post(reverse("sync:import"), {"file": an_upload(30)})  # whose accounts are asked for first
    said = {"file": an_upload(30), "account": account.pk}
    with full(ImportFile):
        check_says_there_is_no_room(program.post("/api/v1/brokerage/import", said, format="multipart"))
    assert not SyncRun.objects.exists()
    assert browser.post(reverse("sync:import"), {"file": an_upload(30)}).status_code == 302


def on_a_full_disk(folder: Path) -> Callable[..., IO[bytes]]:
    """Temporary files that answer each write as a full disk does: links, as Django removes the file afterwards."""

    def make(**_: Any) -> IO[bytes]:
        link = folder / uuid4().hex
        link.symlink_to("/dev/full")
        return link.open("wb", buffering=0)

    return make


def test_an_upload_that_fills_the_disk_for_temporary_files_is_refused_in_words(
    person: User,
    sign_up: Callable[[User], Client],
    token_client: Callable[..., APIClient],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    account, large = an_account(a_connection(person)), 45_000
    browser, program = sign_up(person), token_client(person)
    browser.raise_request_exception = False
    said = {"account": account.pk, "file": an_upload(large)}
    with monkeypatch.context() as at_the_time:
        at_the_time.setattr("django.core.files.uploadedfile.tempfile.NamedTemporaryFile", on_a_full_disk(tmp_path))
        check_says_there_is_no_room(browser.post(reverse("sync:import"), {"file": an_upload(large)}))
        check_says_there_is_no_room(program.post("/api/v1/brokerage/import", said, format="multipart"))
    assert not ImportDraft.objects.exists()
    assert not SyncRun.objects.exists()
    assert browser.post(reverse("sync:import"), {"file": an_upload(large)}).status_code == 302


def resize(disk: Path, megabytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={megabytes}m", disk], check=True)


@contextmanager
def on_a_small_disk(servers: OwnServers, table: type[Model], megabytes: int) -> Iterator[Callable[[int], None]]:
    """The table lies on a disk of its own; gives a function that makes the disk larger. Needs root, to mount it."""
    disk, owner = servers.folder / "small", (servers.folder / "postgres").stat().st_uid
    disk.mkdir()
    options = f"size={megabytes}m,mode=0700,uid={owner}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], check=True)
    try:
        with psycopg.connect(servers.database_url, autocommit=True) as own:
            own.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
            own.execute(f"ALTER TABLE {table._meta.db_table} SET TABLESPACE small")
        yield lambda larger: resize(disk, larger)
        with psycopg.connect(servers.database_url, autocommit=True) as own:
            own.execute(f"ALTER TABLE {table._meta.db_table} SET TABLESPACE pg_default")
            own.execute("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
        disk.rmdir()


@pytest.mark.endurance
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_an_import_onto_a_disk_that_really_fills_up_is_whole_when_it_is_larger(own_servers: OwnServers) -> None:
    account = an_account(a_connection(User.objects.create_user("ada@example.com")))
    user, rows = account.connection.user, 20_000
    run = sync_service.request_import(user=user, account=account, name="rows.csv", content=a_file(rows))
    with on_a_small_disk(own_servers, Transaction, megabytes=2) as enlarge:
        assert work(run).state == RunState.WAITING
        assert TELLS_WHAT_TO_DO in run.wait_reason
        assert booked(account) == []
        enlarge(200)
        assert go_on(run).state == RunState.SUCCEEDED
    assert run.fetched == run.inserted == len(booked(account)) == rows
