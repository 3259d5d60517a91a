"""Fifty rounds of `kill -9`, each of a worker, of Redis or of PostgreSQL, at a random moment of three works at once."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from django.db import InterfaceError, OperationalError
from django.db import connection as database
from kombu.exceptions import OperationalError as QueueDown
from redis.exceptions import RedisError

from brokerhub.kernel.models import User
from connections.models import EPOCH, Account, Connection
from sync import drafts, sync_service
from sync.import_models import DraftState, ImportDraft
from sync.models import RunState, SyncRun, Trigger
from tests.aggregation.factories import a_connection, an_account
from tests.journey.books import differences, of_broker, of_hub
from tests.plugins.sandbox_server import Sandbox
from tests.sync.test_killed_worker import ROOT, a_file, booked
from tests.sync.test_restarts import kill_postgres, kill_redis, restart

ROUNDS, SEED, ROWS = 50, 2026, 2500
LATEST = 4.0  # seconds after the works began
PATIENCE, RESENT_AFTER = 150, 6  # seconds
AWAY = (OperationalError, InterfaceError, QueueDown, RedisError, OSError)


class Worker:
    """A Celery worker with two children, started anew when it has ended.

    It also ends by itself, now and then, when Redis dies while it works: kombu 5.7 forgets its connection.
    """

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.environment, self.log, self.starts = environment, log, 0
        self.start()

    def start(self) -> None:
        self.starts += 1
        command = [sys.executable, "-m", "celery", "-A", "brokerhub", "worker", "--concurrency=2", "-X", "health"]
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=out, stderr=out, start_new_session=True
            )

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)

    def keep(self) -> None:
        """As whoever watches over processes does."""
        if self.process.poll() is not None:
            self.start()


@dataclass
class Works:
    """A first sync, an import, and the check of a draft, all of a person of their own."""

    connection: Connection
    sync: SyncRun
    account: Account
    imported: SyncRun
    draft: ImportDraft

    def are_over(self) -> bool:
        runs = SyncRun.objects.filter(pk__in=[self.sync.pk, self.imported.pk]).open()
        return not runs.exists() and ImportDraft.objects.get(pk=self.draft.pk).state != DraftState.CHECKING


@contextmanager
def forgiving() -> Iterator[None]:
    """A server that is away is asked again at the next ring, as beat does."""
    try:
        yield
    except AWAY:
        with suppress(*AWAY):
            database.close()


def begin(connect: Callable[..., Connection], number: int) -> Works:
    user = User.objects.create_user(f"round-{number}@example.com", "correct horse battery")
    connection, content = connect(user, "james"), a_file(ROWS)
    account = an_account(a_connection(user))
    draft = drafts.begin(user=user, name="draft.csv", content=content)
    places = {hint: {"account": account.pk} for hint in draft.found["hints"]}
    draft.version += 1
    draft.state, draft.sent_at, draft.accounts, draft.attempts = DraftState.CHECKING, EPOCH, places, 0
    draft.save()
    return Works(
        connection=connection,
        sync=sync_service.request_sync(user=user, connection=connection, trigger=Trigger.MANUAL),
        account=account,
        imported=sync_service.request_import(user=user, account=account, name="rows.csv", content=content),
        draft=draft,
    )


def ring(works: Works, last_sent: float) -> float:
    """What beat does, and time: what was lost is sent again."""
    with forgiving():
        if time.monotonic() - last_sent > RESENT_AFTER:
            ImportDraft.objects.filter(pk=works.draft.pk).update(sent_at=EPOCH)
            SyncRun.objects.filter(pk__in=[works.sync.pk, works.imported.pk]).update(sent_at=EPOCH)
            last_sent = time.monotonic()
        drafts.check_overdue()
        sync_service.dispatch_due()
    return last_sent


def wait_until_over(works: Works, worker: Worker, what: str) -> None:
    until, last_sent, pause = time.monotonic() + PATIENCE, time.monotonic(), threading.Event()
    is_over = False
    while not is_over:
        assert time.monotonic() < until, f"{what}: it hangs"
        worker.keep()
        last_sent = ring(works, last_sent)
        with forgiving():
            is_over = works.are_over()
        pause.wait(0.2)


def check(works: Works, sandbox: Sandbox, what: str) -> str:
    """Every work is whole, or says why not; what its sync or import left out, another one brings."""
    for run in (works.sync, works.imported):
        run.refresh_from_db()
        assert run.state == RunState.SUCCEEDED or run.error, what
        assert run.fetched == run.inserted + run.matched + run.superseded + run.parked + run.rejected, what
    works.draft.refresh_from_db()
    assert works.draft.error or (works.draft.state, works.draft.rows.count()) == (DraftState.READY, ROWS), what
    if works.sync.state == RunState.SUCCEEDED:
        assert differences(of_hub(works.connection), of_broker(sandbox.truth("james"))) == [], what
    if works.imported.state == RunState.SUCCEEDED:
        assert len(booked(works.account)) == works.imported.inserted == ROWS, what
    else:
        assert booked(works.account) == [], what
    return f"{works.sync.state} {works.imported.state} {works.draft.state}"


@pytest.mark.endurance
@pytest.mark.django_db(transaction=True)
def test_fifty_kills_at_random_moments_lose_and_double_nothing(
    hub_environment: dict[str, str],
    connect: Callable[..., Connection],
    sandbox: Sandbox,
    redis_client: redis.Redis,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    chance, ends = random.Random(SEED), []
    sandbox.limit(None)
    worker = Worker(hub_environment | {"SYNC_LEASE_SECONDS": "2", "LOG_LEVEL": "WARNING"}, tmp_path / "worker.log")
    kills = {"worker": worker.kill, "redis": kill_redis, "postgres": kill_postgres}
    try:
        for number in range(ROUNDS):
            victim, after = chance.choice(list(kills)), chance.uniform(0, LATEST)
            what = f"round {number}: {victim} after {after:.2f} s"
            with forgiving():
                redis_client.flushdb()  # a minute later: the budget of calls is full again
            works = begin(connect, number)
            ring(works, time.monotonic())
            threading.Event().wait(after)
            database.close()
            kills[victim]()
            restart()
            wait_until_over(works, worker, what)
            ends.append(check(works, sandbox, what))
            with capsys.disabled():
                print(f"\n  {what}: {ends[-1]}; the worker's start no. {worker.starts}", end="", flush=True)
    finally:
        worker.kill()
    assert ends.count("succeeded succeeded ready") > ROUNDS // 2
