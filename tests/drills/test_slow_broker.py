"""One broker answers slowly while many wait for it: others are read all the same, and in the end everybody is."""

from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from django.conf import settings

from aggregation.models import Transaction
from brokerhub.kernel.models import User
from connections.brokers.calls import Operation
from connections.brokers.records import Broker
from connections.models import Connection
from sync import holds, sync_service
from sync.models import RunState, SyncRun
from tests.aggregation.factories import a_connection
from tests.journey.books import differences, of_broker, of_hub
from tests.plugins.sandbox_server import Sandbox
from tests.sync.runs import Connect, after_each_call, ask, work
from tests.sync.test_killed_worker import a_worker

MANY = 200


def person(number: int) -> User:
    return User.objects.create_user(f"person{number}@example.com")


def test_every_broker_has_a_queue_of_its_own() -> None:
    assert settings.SYNC_QUEUES.keys() == set(Broker) - {Broker.OTHER}
    assert {queue.name for queue in settings.CELERY_TASK_QUEUES} >= set(settings.SYNC_QUEUES.values())


@pytest.mark.parametrize("waiting", [4, pytest.param(MANY, marks=(pytest.mark.endurance, pytest.mark.timeout(1800)))])
@pytest.mark.django_db(transaction=True)
def test_many_who_wait_for_a_slow_broker_keep_nobody_else_waiting(
    hub_environment: dict[str, str],
    connect: Connect,
    connect_alpaca: Callable[..., Connection],
    sandbox: Sandbox,
    tmp_path: Path,
    redis_client: redis.Redis,
    waiting: int,
) -> None:
    sandbox.limit(None)
    slow = []
    for number in range(waiting):  # each a login of their own: Schwab ends a login's older sign-ins with a newer one
        sandbox.invent(f"login{number}", transactions=1)
        redis_client.flushdb()  # a minute later: the budget of calls is full again
        slow.append(connect(person(number), f"login{number}"))
    quick = connect_alpaca(person(waiting))
    runs = [ask(connection) for connection in (*slow, quick)]
    sandbox.fault("latency", "accounts", seconds=0.2)
    beat = ("--beat", f"--schedule={tmp_path / 'beat'}")
    program = "celery" if waiting < MANY else "tests.drills.unpaced_worker"
    environment = hub_environment | {"LOG_LEVEL": "INFO"}
    with a_worker(environment, *beat, program=program, patience_seconds=60 * waiting) as read_until:
        read_until("ready")
        sync_service.dispatch_due()
        while SyncRun.objects.open().exists():
            read_until("task_succeeded")
    assert {run.state for run in SyncRun.objects.all()} == {RunState.SUCCEEDED}
    in_order = list(SyncRun.objects.order_by("finished_at").values_list("pk", flat=True))
    assert in_order.index(runs[-1].pk) <= 2, "it was asked for last, and waited for one or two others"
    rows = Transaction.objects.filter(account__connection__in=slow).values_list("account__connection").distinct()
    assert rows.count() == waiting


def test_a_long_run_gives_its_worker_to_others_that_are_due_and_goes_on_after_them(
    connect: Connect, person: User, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, unpaced: None
) -> None:
    monkeypatch.setattr(holds, "TURN", 0)
    long = ask(connect(person))
    other = ask(a_connection(person))
    assert work(long).state == RunState.QUEUED
    assert long.inserted > 0
    assert "others are due" in long.entries.latest("pk").text
    goes = 1
    while work(long).state == RunState.QUEUED:
        goes += 1
    assert goes > 2
    assert long.state == RunState.SUCCEEDED
    assert long.fetched == long.inserted + long.matched
    assert differences(of_hub(long.connection), of_broker(sandbox.truth())) == []
    other.refresh_from_db()
    assert other.state == RunState.QUEUED


def test_a_long_run_that_nobody_waits_for_keeps_its_worker(
    connect: Connect, person: User, monkeypatch: pytest.MonkeyPatch, unpaced: None
) -> None:
    monkeypatch.setattr(holds, "TURN", 0)
    run, pages = ask(connect(person)), list[int]()
    with after_each_call(Operation.TRANSACTIONS, lambda: pages.append(1)):
        assert work(run).state == RunState.SUCCEEDED
    assert len(pages) > 2
