"""A run that waits frees its worker and says for whom, until when and why; one that hangs is cancelled at once."""

import threading
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection as database
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from aggregation.models import Transaction
from brokerhub.kernel.models import User
from connections.brokers import breaker
from connections.brokers.calls import Operation
from connections.brokers.records import Broker
from connections.models import Connection
from sync import sync_service, tasks
from sync.models import Mode, RunState, SyncRun, Trigger
from tests.journey.books import sync
from tests.plugins.sandbox_server import Sandbox
from tests.sync.runs import Connect, ask, work

RUNS = "/api/v1/brokerage/sync/runs"


def limited(sandbox: Sandbox) -> None:
    sandbox.fault("429", "transactions", times=1, retry_after=120)


def maintained(sandbox: Sandbox) -> None:
    sandbox.maintenance(retry_after=1800)


def broken(sandbox: Sandbox) -> None:
    for _ in range(breaker.THRESHOLD):
        breaker.failed(Broker.SCHWAB, Operation.ACCOUNTS)


@pytest.mark.parametrize(
    ("happens", "why"),
    [(limited, "rate limit"), (maintained, "maintenance"), (broken, "several answers in a row failed")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wait_frees_the_worker_and_says_until_when_and_why(
    connect: Connect, person: User, web: Client, sandbox: Sandbox, token_client: Any, happens: Any, why: str
) -> None:
    connection = connect(person, "james")
    happens(sandbox)
    run = work(ask(connection))
    assert (run.state, run.wait_reason, run.held_by) == (RunState.WAITING, why, None)
    assert run.wait_until is not None
    assert run.wait_until > timezone.now()
    words = f"Waiting for Charles Schwab until {run.wait_until.astimezone(ZoneInfo(person.timezone)):%H:%M}"
    for address in ("/sync/", f"/sync/runs/{run.pk}/"):
        shown = web.get(address).content.decode()
        assert words in shown
        assert why in shown
    wait = token_client(person).get(f"{RUNS}/{run.pk}").json()["wait"]
    assert (wait["reason"], wait["until"] is None) == (why, False)


def wish(connection: Connection, **what: Any) -> SyncRun:
    return sync_service.request_sync(user=connection.user, connection=connection, trigger=Trigger.MANUAL, **what)


def test_a_second_request_for_another_account_widens_a_waiting_run(
    connect: Connect, person: User, sandbox: Sandbox, unpaced: None
) -> None:
    connection = connect(person)
    sync(connection)
    first, second = connection.accounts.all()
    sandbox.fault("429", "transactions", times=1, retry_after=120)
    run = work(wish(connection, account=first, mode=Mode.INCREMENTAL))
    assert run.state == RunState.WAITING
    widened = wish(connection, account=second, mode=Mode.INCREMENTAL)
    assert (widened.pk, widened.account_id, widened.state) == (run.pk, None, RunState.WAITING)
    SyncRun.objects.filter(pk=run.pk).update(wait_until=timezone.now())
    assert work(run).state == RunState.SUCCEEDED
    assert {f"transactions:{first.pk}", f"transactions:{second.pk}"} <= run.parts.keys()


@pytest.mark.django_db(transaction=True)
def test_a_run_is_cancelled_while_the_broker_does_not_answer(
    connect: Connect, person: User, sandbox: Sandbox, token_client: Any
) -> None:
    """The worker hangs in its call until the broker answers; the run is over all the same, and another may begin."""
    connection = connect(person, "james")
    run = ask(connection)
    sandbox.fault("timeout", "transactions", times=1, seconds=2)

    def worker() -> None:
        tasks.run(run.pk)
        database.close()

    hanging = threading.Thread(target=worker)
    hanging.start()
    while not sandbox.calls("transactions"):
        assert hanging.is_alive()
    program: APIClient = token_client(person)
    assert program.post(f"{RUNS}/{run.pk}/cancel").json()["state"] == "cancelled"
    assert hanging.is_alive()
    again = ask(connection)
    assert again.pk != run.pk
    hanging.join(30)
    run.refresh_from_db()
    assert (run.state, run.fetched, Transaction.objects.count()) == (RunState.CANCELLED, 0, 0)
    assert work(again).state == RunState.SUCCEEDED
