"""PostgreSQL is restarted and Redis killed with all its data while a worker syncs; and two beats ring for one hub."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from celery import current_app
from django.conf import settings
from django.utils import timezone
from kombu import Connection as Queue

from aggregation.models import Transaction
from brokerhub.bell import Bell
from brokerhub.celery import app
from brokerhub.kernel.config import redis_urls
from brokerhub.kernel.models import User
from connections.models import EPOCH, Connection
from sync import scheduling
from sync.models import Rhythm, RunState, Schedule, SyncRun, Trigger
from tests.aggregation.factories import a_connection
from tests.journey.books import differences, of_broker, of_hub
from tests.plugins.own_servers import OwnServers
from tests.plugins.sandbox_server import Sandbox
from tests.sync.runs import ask, work
from tests.sync.test_killed_worker import a_worker
from tests.sync.test_random_kills import Worker

FACTS = ("account__name", "traded_on", "kind", "external_id", "occurrence", "quantity", "net_amount", "status")


def rows(connection: Connection) -> list[tuple[object, ...]]:
    return sorted(Transaction.objects.filter(account__connection=connection).values_list(*FACTS), key=repr)


def ring(servers: OwnServers) -> None:
    """As beat does every ten seconds."""
    with Queue(redis_urls(servers.redis_url)[1], transport_options=settings.CELERY_BROKER_TRANSPORT_OPTIONS) as queue:
        current_app.send_task("sync.dispatch", connection=queue, expires=10, retry=False)


@contextmanager
def kept_running(servers: OwnServers, log: Path) -> Iterator[Worker]:
    """A worker that is started again when it ends: when Redis dies at the wrong moment, kombu ends with it."""
    worker = Worker(servers.environment, log)
    try:
        yield worker
    finally:
        worker.kill()


def until(happened: Callable[[], bool], servers: OwnServers, worker: Worker) -> None:
    rounds, pause = 0, threading.Event()
    while not happened():
        worker.keep()
        if rounds % 10 == 0:
            ring(servers)
        rounds += 1
        pause.wait(0.1)


def test_a_sync_goes_on_after_a_restart_of_postgres_and_the_loss_of_all_of_redis(
    own_servers: OwnServers, connect: Callable[..., Connection], sandbox: Sandbox, unpaced: None, tmp_path: Path
) -> None:
    ada, bob = (User.objects.create_user(f"{name}@example.com") for name in ("ada", "bob"))
    run = ask(connect(ada, "james"))

    def hangs_at_page() -> bool:
        return len(sandbox.calls("transactions")) > pages

    with kept_running(own_servers, tmp_path / "worker.log") as worker:
        pages = 1
        sandbox.fault("timeout", "transactions", after=pages, times=1, seconds=2)
        until(hangs_at_page, own_servers, worker)
        own_servers.stop_postgres()
        own_servers.start()
        pages = len(sandbox.calls("transactions"))
        sandbox.fault("timeout", "transactions", times=1, seconds=2)
        until(hangs_at_page, own_servers, worker)
        own_servers.kill_redis(lose_data=True)
        own_servers.start()
        SyncRun.objects.update(sent_at=EPOCH)  # as time does, of a message that is lost
        until(lambda: not SyncRun.objects.open().exists(), own_servers, worker)
    run.refresh_from_db()
    assert run.state == RunState.SUCCEEDED, run.error
    assert run.fetched == run.inserted + run.matched
    assert differences(of_hub(run.connection), of_broker(sandbox.truth("james"))) == []
    assert run.entries.filter(text__startswith="Started").count() > 1
    undisturbed = work(ask(connect(bob, "james")))
    assert rows(run.connection) == rows(undisturbed.connection) != []


def a_beat_that_is_late(file: Path) -> tuple[str, str]:
    """Options for a worker with a beat of its own for which everything is due at once."""
    bell = Bell(app, schedule_filename=str(file))
    for entry in bell.schedule.values():
        entry.last_run_at = timezone.now() - timedelta(days=1)
    bell.close()
    return "--beat", f"--schedule={file}"


@pytest.mark.endurance
def test_two_beats_plan_each_turn_once(own_servers: OwnServers, tmp_path: Path) -> None:
    connections = [a_connection(label=f"{number}") for number in range(12)]
    for connection in connections:
        scheduling.set_schedule(connection, rhythm=Rhythm.HOURLY)
    Schedule.objects.update(next_at=timezone.now() - timedelta(seconds=1))
    late = [a_beat_that_is_late(tmp_path / name) for name in ("one", "other")]
    first, second = ((*options, "-n", f"{name}@%h") for name, options in zip("ab", late, strict=True))
    with a_worker(own_servers.environment, *first) as one, a_worker(own_servers.environment, *second) as other:
        for read_until in (one, other):
            read_until("beat: Starting")
        while SyncRun.objects.over().count() < len(connections):
            one("task_succeeded")
        for read_until in (one, other):
            read_until("sync.dispatch")
    runs = SyncRun.objects.filter(trigger=Trigger.SCHEDULE)
    assert sorted(runs.values_list("connection", flat=True)) == sorted(each.pk for each in connections)
    assert not Schedule.objects.filter(next_at__lte=timezone.now()).exists()
