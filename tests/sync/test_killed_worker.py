"""A real worker process, killed with no warning in the middle of a sync, and the one started after it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aggregation.models import Transaction
from brokerhub.kernel.models import User
from connections.models import Connection
from sync import sync_service
from sync.models import RunState, SyncRun, Trigger
from tests.journey.books import differences, of_broker, of_hub
from tests.plugins.sandbox_server import Sandbox

ROOT = Path(__file__).resolve().parents[2]
PAGES_BEFORE_THE_END = 4
PATIENCE = 60  # seconds


@contextmanager
def a_worker(environment: dict[str, str]) -> Iterator["Callable[[str], None]"]:
    """A Celery worker with one child; gives a function that reads its log until a line says `words`."""
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "brokerhub",
        "worker",
        "--concurrency=1",
        "-Q",
        "sync",
        "--loglevel=INFO",
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

    patience = threading.Timer(PATIENCE, kill)  # a worker that never says what is waited for
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
