"""A real worker process, killed with no warning in the middle of a sync, and the one started after it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from django.db import connection as database

from aggregation.models import Transaction
from brokerhub.kernel.models import User
from connections.models import EPOCH, Account, Connection
from sync import drafts, sync_service
from sync.import_models import DraftState, ImportDraft
from sync.models import RunState, SyncRun, Trigger
from tests.aggregation.factories import a_connection, an_account
from tests.journey.books import differences, of_broker, of_hub
from tests.plugins.sandbox_server import Sandbox

ROOT = Path(__file__).resolve().parents[2]
PAGES_BEFORE_THE_END = 4
PATIENCE = 60  # seconds


@contextmanager
def a_worker(
    environment: dict[str, str],
    *options: str,
    program: str = "celery",
    children: int = 1,
    patience_seconds: int = PATIENCE,
) -> Iterator["Callable[[str], None]"]:
    """A Celery worker; gives a function that reads its log until a line says `words`."""
    command = [
        sys.executable,
        "-m",
        program,
        "-A",
        "brokerhub",
        "worker",
        f"--concurrency={children}",
        "-X",
        "health",
        "--loglevel=INFO",
        *options,
    ]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    assert process.stdout is not None
    lines = (line.decode(errors="replace") for line in process.stdout)

    def read_until(words: str) -> None:
        seen = []
        for line in lines:
            seen.append(line)
            if words in line:
                return
        raise AssertionError(f"the worker ended without saying {words!r}:\n{''.join(seen[-30:])}")

    def kill() -> None:
        os.killpg(process.pid, signal.SIGKILL)  # the worker and its child; neither can do anything about it

    patience = threading.Timer(patience_seconds, kill)  # a worker that never says what is waited for
    patience.start()
    try:
        yield read_until
    finally:
        patience.cancel()
        if process.poll() is None:
            kill()
        process.wait(30)
        process.stdout.close()


@pytest.mark.django_db(transaction=True)
def test_a_killed_worker_loses_and_doubles_nothing(
    hub_environment: dict[str, str], connect: Callable[..., Connection], person: User, sandbox: Sandbox
) -> None:
    environment = hub_environment | {"SYNC_LEASE_SECONDS": "0.5", "LOG_LEVEL": "INFO"}
    connection = connect(person)
    run = sync_service.request_sync(user=person, connection=connection, trigger=Trigger.MANUAL)
    sandbox.fault("timeout", "transactions", after=PAGES_BEFORE_THE_END, seconds=60)
    with a_worker(environment) as read_until:
        sync_service.dispatch_due()
        for _ in range(PAGES_BEFORE_THE_END):
            read_until("operation=transactions")
        # The next page hangs at the broker: the last booked one is committed by the time its successor is asked for.
        while len(sandbox.calls("transactions")) <= PAGES_BEFORE_THE_END:
            continue
    run.refresh_from_db()
    assert run.state == RunState.RUNNING
    booked = Transaction.objects.count()
    assert run.inserted == run.fetched == booked > 0
    sandbox.clear_faults()
    with a_worker(environment) as read_until:
        read_until("ready")
        sync_service.dispatch_due()
        read_until("task_succeeded")
        while SyncRun.objects.get(pk=run.pk).status.is_open:
            read_until("task_succeeded")
    run.refresh_from_db()
    assert run.state == RunState.SUCCEEDED
    assert run.inserted == Transaction.objects.count() > booked
    assert run.fetched == run.inserted + run.matched
    assert differences(of_hub(connection), of_broker(sandbox.truth())) == []


FIRST_LINES = (
    '"Transactions  for account Individual ...345 as of 06/30/2026 09:15:00 PM ET"\n'
    '"Date","Action","Symbol","Description","Quantity","Price","Fees & Comm","Amount"\n'
)


def a_file(rows: int) -> bytes:
    """As Schwab exports: purchases on many days, some of them alike."""
    lines = (
        f'"03/{1 + n % 28:02}/2026","Buy","KO","COCA COLA CO","{1 + n % 9}","$10","","-${10 + 10 * (n % 9)}"'
        for n in range(rows)
    )
    return (FIRST_LINES + "\n".join(lines)).encode()


def booked(account: Account) -> list[tuple[object, ...]]:
    rows = Transaction.objects.in_books().filter(account=account)
    return sorted(rows.values_list("traded_on", "quantity", "net_amount", "occurrence"))


def until_two_wait(holder: psycopg.Connection) -> None:
    while holder.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() != (2,):
        continue


@pytest.mark.django_db(transaction=True)
def test_an_import_and_the_check_of_a_draft_survive_the_death_of_their_worker(
    hub_environment: dict[str, str], settings: Any
) -> None:
    """Both die where they write: they wait there for a lock, which the test holds."""
    environment = hub_environment | {"SYNC_LEASE_SECONDS": "0.5", "LOG_LEVEL": "INFO"}
    account = an_account()
    user, content = account.connection.user, a_file(300)
    clean = an_account(a_connection(user))
    draft = drafts.begin(user=user, name="draft.csv", content=content)
    settings.IMPORT_CHECK_AT_ONCE_BYTES = 0
    with psycopg.connect(hub_environment["DATABASE_URL"]) as holder, a_worker(environment, children=2) as read_until:
        holder.execute("SELECT 1 FROM connections_account WHERE id = %s FOR NO KEY UPDATE", [account.pk])
        holder.execute("LOCK TABLE sync_draftrow IN EXCLUSIVE MODE")
        places = {hint: {"account": clean.pk} for hint in draft.found["hints"]}
        drafts.say(draft, format=draft.format, choices={}, accounts=places)
        run = sync_service.request_import(user=user, account=account, name="rows.csv", content=content)
        sync_service.dispatch_due()
        until_two_wait(holder)
    run.refresh_from_db()
    draft.refresh_from_db()
    assert (run.state, run.fetched, booked(account)) == (RunState.RUNNING, 0, [])
    assert (draft.state, draft.rows.count(), draft.attempts) == (DraftState.CHECKING, 0, 1)
    with a_worker(environment, children=2) as read_until:
        read_until("ready")
        ImportDraft.objects.update(sent_at=EPOCH)  # as time does
        assert drafts.check_overdue() == 1
        while not sync_service.dispatch_due():
            continue  # until the lease of the dead is over
        while SyncRun.objects.get(pk=run.pk).is_open or ImportDraft.objects.get(pk=draft.pk).state != DraftState.READY:
            read_until("task_succeeded")
    run.refresh_from_db()
    assert (run.state, run.inserted) == (RunState.SUCCEEDED, 300)
    assert draft.rows.count() == 300
    (again,) = drafts.confirm(draft)
    sync_service.run_one(again.pk)
    assert booked(account) == booked(clean)


@pytest.mark.django_db(transaction=True)
def test_a_worker_whom_both_servers_drop_goes_on(
    hub_environment: dict[str, str],
    connect: Callable[..., Connection],
    person: User,
    sandbox: Sandbox,
    redis_client: redis.Redis,
) -> None:
    """PostgreSQL and Redis end all connections at once, as they do when they are restarted; the worker lives."""
    environment = hub_environment | {"SYNC_LEASE_SECONDS": "0.5", "LOG_LEVEL": "INFO"}
    connection = connect(person, "james")
    run = sync_service.request_sync(user=person, connection=connection, trigger=Trigger.MANUAL)
    sandbox.fault("timeout", "transactions", after=2, times=1, seconds=1)
    with a_worker(environment) as read_until:
        sync_service.dispatch_due()
        read_until("operation=transactions")
        while len(sandbox.calls("transactions")) < 3:
            continue
        with psycopg.connect(hub_environment["DATABASE_URL"], autocommit=True) as other, database.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            own = cursor.fetchone()[0]
            other.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid NOT IN (%s, pg_backend_pid())", [own],
            )  # fmt: skip
        redis_client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        while SyncRun.objects.get(pk=run.pk).is_open:
            if sync_service.dispatch_due():  # once the lease is over
                read_until("task_succeeded")
    run.refresh_from_db()
    assert run.state == RunState.SUCCEEDED, run.error
    assert run.fetched == run.inserted + run.matched
    assert differences(of_hub(connection), of_broker(sandbox.truth("james"))) == []
