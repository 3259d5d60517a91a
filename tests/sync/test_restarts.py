"""PostgreSQL or Redis ends in the middle of a sync: the run is taken up again, and the books equal the broker's."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import redis
from django.db import OperationalError
from django.db import connection as database

from brokerhub import embedded
from brokerhub.kernel.models import User
from connections.brokers.calls import Operation
from connections.models import EPOCH, Connection
from sync import sync_service, tasks
from sync.models import RunState, SyncRun
from tests.journey.books import differences, of_broker, of_hub
from tests.plugins.sandbox_server import Sandbox
from tests.sync.runs import after_each_call, ask, work
from tests.sync.test_killed_worker import a_worker

PAGES_BEFORE_THE_END = 3


@pytest.mark.django_db(transaction=True)
def test_a_run_cut_off_from_the_database_goes_on_from_its_cursor(
    connect: Callable[..., Connection], person: User, sandbox: Sandbox, unpaced: None
) -> None:
    connection = connect(person)
    run = ask(connection)
    pages: list[int] = []

    def cut() -> None:
        pages.append(1)
        if len(pages) == PAGES_BEFORE_THE_END:
            with database.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                (pid,) = cursor.fetchone()
            with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

    with after_each_call(Operation.TRANSACTIONS, cut), pytest.raises(OperationalError):
        tasks.run(run.pk)
    database.close()
    run.refresh_from_db()
    assert run.state == RunState.RUNNING
    booked = run.inserted
    SyncRun.objects.filter(pk=run.pk).update(held_until=EPOCH)  # as time does
    assert work(run).state == RunState.SUCCEEDED
    assert run.inserted > booked > 0
    assert run.fetched == run.inserted + run.matched
    assert differences(of_hub(connection), of_broker(sandbox.truth())) == []


def test_a_run_that_lost_redis_goes_on_when_it_is_back(
    connect: Callable[..., Connection], person: User, monkeypatch: pytest.MonkeyPatch, unpaced: None
) -> None:
    run = ask(connect(person))

    def away(*_: object) -> None:
        raise redis.ConnectionError("away")

    with monkeypatch.context() as without:
        without.setattr("connections.brokers.breaker.check", away)
        with pytest.raises(redis.ConnectionError):
            tasks.run(run.pk)
    run.refresh_from_db()
    assert run.state == RunState.RUNNING
    SyncRun.objects.filter(pk=run.pk).update(held_until=EPOCH)
    assert work(run).state == RunState.SUCCEEDED


def kill_postgres() -> None:
    folder = Path(os.environ["VAR_DIR"]) / "postgres"
    os.kill(int((folder / "postmaster.pid").read_text().split("\n", 1)[0]), signal.SIGKILL)


def kill_redis() -> None:
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        os.kill(client.info("server")["process_id"], signal.SIGKILL)


def restart() -> None:
    embedded.database_url(Path(os.environ["VAR_DIR"]))
    embedded.redis_url(Path(os.environ["VAR_DIR"]))


@pytest.mark.endurance
@pytest.mark.parametrize("kill", [kill_postgres, kill_redis], ids=["postgres", "redis"])
@pytest.mark.django_db(transaction=True)
def test_a_killed_server_loses_and_doubles_nothing(
    hub_environment: dict[str, str],
    connect: Callable[..., Connection],
    person: User,
    sandbox: Sandbox,
    kill: Callable[[], None],
) -> None:
    """The whole server, by kill -9, in the middle of a page; other tests cannot run beside it."""
    environment = hub_environment | {"SYNC_LEASE_SECONDS": "2", "LOG_LEVEL": "INFO"}
    connection = connect(person)
    run = ask(connection)
    sandbox.fault("timeout", "transactions", after=PAGES_BEFORE_THE_END, seconds=5, times=1)
    with a_worker(environment) as read_until:
        sync_service.dispatch_due()
        for _ in range(PAGES_BEFORE_THE_END):
            read_until("operation=transactions")
        database.close()
        kill()
        restart()
    with a_worker(environment) as read_until:
        read_until("ready")
        while SyncRun.objects.get(pk=run.pk).status.is_open:
            SyncRun.objects.filter(pk=run.pk).update(sent_at=EPOCH)  # as time does
            sync_service.dispatch_due()
            read_until("sync.run")
    run.refresh_from_db()
    assert run.state == RunState.SUCCEEDED, run.error
    assert run.fetched == run.inserted + run.matched
    assert differences(of_hub(connection), of_broker(sandbox.truth())) == []
