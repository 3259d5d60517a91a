"""Many people read through one app that may make ten calls a minute: no call too many, no time lost, and nobody waits
for another's history. By a moved clock, against the sandbox, which refuses the eleventh call of any minute."""

import pytest

from brokerhub.kernel.models import User
from connections.brokers import schwab, turns
from connections.brokers.turns import Line
from connections.models import Connection
from sync import planning, queueing, sync_service
from sync.models import Mode, RunState, SyncRun, Trigger
from tests.aggregation.factories import a_connection
from tests.plugins.sandbox_server import Sandbox
from tests.sync.clockwork import Clock, work_off
from tests.sync.runs import Connect, work

LIMIT = 10  # calls a minute

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock.put_up(sandbox, monkeypatch)


def person(number: int) -> User:
    return User.objects.create_user(f"person{number}@example.com")


def become_scarce(clock: Clock, monkeypatch: pytest.MonkeyPatch, limit: int = LIMIT) -> None:
    """The last minute is over, and from now on the app may make so many calls in any minute, all of them for syncs."""
    for connection in Connection.objects.all():
        sync_service.cancel_all(connection)  # the first sync, which comes by itself
    clock.advance(120)
    clock.sandbox.limit(limit)
    monkeypatch.setattr(schwab, "CALLS_PER_MINUTE", limit)
    monkeypatch.setattr(schwab, "KEPT_FOR_SIGN_INS", 0)


def ask(connection: Connection, mode: Mode = Mode.RANGE) -> SyncRun:
    days = (planning.market_today(),) * 2 if mode is Mode.RANGE else None
    return sync_service.request_sync(
        user=connection.user, connection=connection, trigger=Trigger.MANUAL, mode=mode, days=days
    )


def read_all(clock: Clock, wishes: list[tuple[Connection, Mode]], least: int) -> list[SyncRun]:
    """All the runs, worked off, in the order of their end. Asserts that none was refused and no time was lost: the best
    that can be done is a minute for each ten of the `least` calls that they cannot do without."""
    before, began = len(clock.sandbox.calls()), clock.ahead
    for connection, mode in wishes:
        ask(connection, mode)
    runs = [run for run in work_off(clock) if run.state != RunState.CANCELLED]
    calls = clock.sandbox.calls()[before:]
    best, taken = least / LIMIT * 60, clock.ahead - began
    assert [run.state for run in runs] == [RunState.SUCCEEDED] * len(wishes), [run.error for run in runs if run.error]
    assert [call["status"] for call in calls if call["status"] == 429] == []
    assert taken <= 1.1 * best, f"{taken:.0f} s for what {best} s are enough for; {len(calls)} calls, {least} needed"
    return runs


def test_a_scarce_budget_is_shared_by_turns_and_nobody_waits_for_another_s_history(
    connect: Connect, clock: Clock, monkeypatch: pytest.MonkeyPatch, unpaced: None
) -> None:
    monkeypatch.setattr(turns, "TURN_SECONDS", 30)
    greedy = connect(person(0), "maria")
    others = [connect(person(number), "james") for number in range(1, 4)]
    become_scarce(clock, monkeypatch)
    wishes = [(greedy, Mode.BACKFILL), *((connection, Mode.RANGE) for connection in others)]
    runs = read_all(clock, wishes, least=(3 + 2 + 2 * 7) + len(others) * (3 + 1 + 1))
    assert runs[-1].connection == greedy, "its years of history came first and were read last"
    assert turns.line_at(runs[-1].line) is None, "nobody stands in line any more"


def test_a_run_that_is_cancelled_leaves_the_line_and_the_next_one_goes_on(
    connect: Connect, clock: Clock, monkeypatch: pytest.MonkeyPatch, unpaced: None
) -> None:
    connections = [connect(person(number), "james") for number in range(3)]
    become_scarce(clock, monkeypatch, limit=5)
    runs = [work(ask(connection)) for connection in connections]
    assert [run.state for run in runs] == ["succeeded", "waiting", "waiting"]
    assert [(run.in_turn, run.wait_reason) for run in runs[1:]] == [(True, "rate limit"), (False, "rate limit")]
    sync_service.cancel(runs[1])
    work_off(clock)
    runs[2].refresh_from_db()
    assert runs[2].state == RunState.SUCCEEDED


def test_turns_go_round_the_users_whatever_the_number_of_their_connections(db: None) -> None:
    line = Line("schwab:app", 6.0)
    many, one, other = person(1), person(2), person(3)
    for owner in (many, many, many, one, other):
        SyncRun.objects.create(
            connection=a_connection(owner), trigger=Trigger.MANUAL, mode=Mode.INCREMENTAL, state=RunState.WAITING,
            line=line.key,
        )  # fmt: skip
    served = []
    for _ in range(5):
        queueing.hand_over(line)
        run = SyncRun.objects.get(in_turn=True, state=RunState.WAITING)
        queueing.hand_over(line)
        assert SyncRun.objects.filter(in_turn=True).open().count() == 1, "one at a time"
        served.append(run.connection.user)
        SyncRun.objects.filter(pk=run.pk).update(state=RunState.SUCCEEDED)
    assert served == [many, one, other, many, many]


@pytest.mark.endurance
def test_two_hundred_accounts_against_ten_calls_a_minute(
    connect: Connect, clock: Clock, monkeypatch: pytest.MonkeyPatch, unpaced: None
) -> None:
    connections = []
    for number in range(200):  # each a login of their own: Schwab ends a login's older sign-ins with a newer one
        clock.sandbox.invent(f"login{number}", transactions=1)
        connections.append(connect(person(number), f"login{number}"))
    become_scarce(clock, monkeypatch)
    renewals = 200 - 30 // 2  # access lasts half an hour, in which so many are served
    read_all(clock, [(each, Mode.RANGE) for each in connections], least=200 * 5 + renewals)
