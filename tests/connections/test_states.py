"""The states of a connection: their words, the moves between them, and how each is reached in earnest."""

import random
from contextlib import suppress
from datetime import timedelta
from html import unescape
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone

from brokerhub.kernel.errors import NotAllowed
from connections import connection_manager, tasks
from connections.brokers import schwab
from connections.brokers.base import (
    AppCredentialsRefused,
    BrokerUnavailable,
    NeedsReauth,
    RateLimited,
    Refused,
    UnderMaintenance,
    UnexpectedReply,
)
from connections.brokers.records import AuthMethod
from connections.errors import ConsentDenied
from connections.models import Connection
from connections.states import REASONS, TRANSITIONS, ConnectionState, reason_for
from sync.models import RunState, SyncRun
from tests.journey.books import sync
from tests.sync.runs import ask, work

S = ConnectionState
LIST = reverse("connections:list")


# --- The table --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ConnectionState)
def test_every_state_has_words_a_colour_and_a_way_on(state):
    assert state.label
    assert state.tone in {"good", "warn", "bad", "wait", "quiet"}
    assert state in TRANSITIONS[state], "a state can always be confirmed"
    assert TRANSITIONS[state] - {state}, "no state is a dead end"


@pytest.mark.parametrize("state", [state for state in ConnectionState if state is not ConnectionState.DISCONNECTED])
def test_from_every_state_one_can_leave(state):
    assert state is ConnectionState.DISCONNECTING or state.may_become(ConnectionState.DISCONNECTING)


def test_a_lost_sign_in_is_only_mended_by_signing_in():
    state = ConnectionState.NEEDS_REAUTH
    assert not state.may_sync
    assert state.needs_user
    onward = {target for target in ConnectionState if state.may_become(target)} - {state}
    assert onward == {ConnectionState.CONNECTED, ConnectionState.DISCONNECTING}


@pytest.mark.parametrize("code", REASONS)
def test_every_reason_reads_as_a_sentence_about_the_broker(code):
    reason = reason_for(code, broker="Charles Schwab")
    assert "{" not in reason.text + reason.action
    assert not reason.text or reason.text.endswith(".")


def test_an_unknown_reason_is_a_bug_and_not_an_empty_text():
    with pytest.raises(KeyError):
        reason_for("no_such_reason", broker="Charles Schwab")


def test_a_move_that_the_table_does_not_know_is_refused_and_leaves_no_trace(person):
    connection = Connection.objects.create(
        user=person, broker="schwab", method="schwab_oauth", environment="sandbox", label="Schwab"
    )
    for old in S:
        for new in set(S) - TRANSITIONS[old]:
            Connection.objects.filter(pk=connection.pk).update(state=old)
            with pytest.raises(NotAllowed, match=f"is {old.label.lower()} cannot become {new.label.lower()}"):
                connection_manager.move(connection, new, action="synced")
            connection.refresh_from_db()
            assert connection.state == old
    assert not connection.events.exists()


# --- Every state, by the doors people use -----------------------------------------------------------------------------


class Shown:
    """What the page of connections says about the one connection of this person."""

    def __init__(self, web, person):
        self.web, self.person = web, person
        self.seen = set()

    def __call__(self, state, reason="", until=None):
        connection = Connection.objects.get(user=self.person)
        assert (connection.state, connection.reason_code) == (state, reason)
        page = unescape(self.web.get(LIST).content.decode())
        for words in (state.label, connection.reason.text, connection.reason.action):
            assert words in page
        assert connection.state_until == until
        if until is not None:
            assert until.isoformat(timespec="seconds") in page
        self.seen.add(state)
        return connection


@pytest.fixture
def shown(web, person):
    return Shown(web, person)


def fail(connection, sandbox, kind, **params):
    """A run that meets a fault; then the fault is over and the wait is cut short. The run, and until when it waited."""
    sandbox.fault(kind, "account_numbers" if kind == "429" else "*", **params)
    run = work(ask(connection))
    until = run.wait_until
    sandbox.clear_faults()
    cache.clear()  # what the breaker remembers
    SyncRun.objects.filter(pk=run.pk).update(wait_until=None)
    return run, until


def test_every_state_is_reached_and_shown(web, person, sandbox, shown):
    address = web.post(reverse("connections:new"), {"method": "schwab_oauth"}, HTTP_HX_REQUEST="true")["HX-Redirect"]
    shown(S.PENDING_AUTH, "not_signed_in")
    back = urlsplit(sandbox.sign_in(address, "james"))
    web.get(f"{back.path.rstrip('/')}?{back.query}")
    connection = shown(S.CONNECTED)

    run, until = fail(connection, sandbox, "429", retry_after=900)
    shown(S.RATE_LIMITED, "rate_limit", until)
    assert work(run).state == RunState.SUCCEEDED
    shown(S.CONNECTED)

    run, until = fail(connection, sandbox, "500")
    shown(S.ERROR, "broker_unavailable", until)
    work(run)
    shown(S.CONNECTED)

    sandbox.maintenance(retry_after=1800)
    run = work(ask(connection))
    shown(S.MAINTENANCE, "maintenance", run.wait_until)
    sandbox.maintenance(on=False)
    SyncRun.objects.filter(pk=run.pk).update(wait_until=None)
    work(run)
    shown(S.CONNECTED)

    sandbox.fault("410", "transactions")
    sync(connection)
    [stale] = shown(S.DEGRADED, "parts_failing").stale
    page = unescape(web.get(LIST).content.decode())
    assert str(stale) in page
    assert stale.reason in page
    sandbox.clear_faults()
    sync(connection)

    ends = timezone.now() + timedelta(hours=10)
    Connection.objects.update(authorization_expires_at=ends)  # as six and a half days later
    tasks.remind_due()
    shown(S.EXPIRING, "authorization_expiring", ends)

    sandbox.end_tokens("james", expire=True, revoke=True)
    sync(connection)
    shown(S.NEEDS_REAUTH, "refresh_refused")

    web.post(reverse("connections:disconnect", args=[connection.pk]), {"history": "keep"})
    connection = shown(S.DISCONNECTED, "by_user")
    assert shown.seen == set(S) - {S.DISCONNECTING}
    passed = connection.events.filter(to_state=S.DISCONNECTING)  # it lasts as long as the transaction that leaves
    assert [event.words for event in passed] == [S.DISCONNECTING.label]


# --- Maintenance ------------------------------------------------------------------------------------------------------


@pytest.fixture
def connect_to(connect, connect_robinhood, sandbox, unpaced):
    """Connects a person at this broker, each in its plainest way."""

    def flex(user):
        keys = {"token": sandbox.control("ibkr/flex", "GET")["token"], "query_id": "1001001"}
        return connection_manager.connect_with_keys(user=user, method=AuthMethod.IBKR_FLEX, keys=keys)

    return {"schwab": lambda user: connect(user, "james"), "robinhood": connect_robinhood, "ibkr": flex}


@pytest.mark.parametrize("broker", ["schwab", "robinhood", "ibkr"])
def test_a_broker_under_maintenance_is_waited_for_and_comes_back_by_itself(broker, connect_to, person, sandbox):
    connection = connect_to[broker](person)
    sandbox.maintenance(broker=broker)
    run = work(ask(connection))
    connection.refresh_from_db()
    assert (run.state, connection.state) == (RunState.WAITING, S.MAINTENANCE)
    assert run.wait_reason == "maintenance"
    assert connection.state_until == run.wait_until
    sandbox.maintenance(on=False, broker=broker)
    SyncRun.objects.filter(pk=run.pk).update(wait_until=None)
    assert work(run).state == RunState.SUCCEEDED
    connection.refresh_from_db()
    assert (connection.state, connection.state_until) == (S.CONNECTED, None)


def test_the_broker_is_asked_again_when_its_maintenance_is_to_end(connect, person, sandbox):
    connection = connect(person, "james")
    sandbox.maintenance(retry_after=7200)
    run = work(ask(connection))
    assert run.wait_until is not None
    assert timedelta(minutes=119) < run.wait_until - timezone.now() <= timedelta(hours=2)


def test_a_renewal_in_a_maintenance_is_no_lost_sign_in(connect, person, sandbox):
    connection = connect(person, "james")
    sandbox.maintenance()
    with pytest.raises(UnderMaintenance):
        connection_manager.refresh_credentials(connection)
    connection.refresh_from_db()
    assert connection.state == S.MAINTENANCE
    sandbox.maintenance(on=False)
    connection_manager.refresh_credentials(connection)
    connection.refresh_from_db()
    assert connection.state == S.CONNECTED


# --- A random walk ----------------------------------------------------------------------------------------------------

ERRORS = [
    *(NeedsReauth("", reason_code=code) for code in ("refresh_refused", "access_refused", "keys_refused")),
    *(kind("", retry_at=timezone.now()) for kind in (BrokerUnavailable, RateLimited, UnderMaintenance)),
    *(kind("") for kind in (UnderMaintenance, AppCredentialsRefused, UnexpectedReply, Refused)),
]
STEPS, SEED = 150, 2026


class Walk:
    """Anything that may happen to a connection, in any order, by the functions that do it in earnest."""

    def __init__(self, connection, chance, connect, sandbox):
        self.connection, self.chance = connection, chance
        self.user, self.connect, self.sandbox = connection.user, connect, sandbox

    def work(self):
        connection_manager.note_success(self.connection)

    def work_in_part(self):
        failing = {"accounts": {"since": timezone.now().isoformat(), "reason": "It failed."}}
        connection_manager.note_success(self.connection, failing_parts=failing)

    def fail(self):
        connection_manager.note_failure(self.connection, self.chance.choice(ERRORS))

    def come_to_an_end(self):
        ends = timezone.now() + timedelta(hours=self.chance.choice((-1, 2, 20, 100)))
        Connection.objects.filter(authorization_expires_at__isnull=False).update(authorization_expires_at=ends)
        tasks.remind_due()

    def renew(self):
        with suppress(NeedsReauth):
            connection_manager.refresh_credentials(self.connection)

    def sign_in(self):
        assert self.connect(self.user, "james") == self.connection

    def decline(self):
        address = connection_manager.start_oauth(connection=self.connection)
        landed = self.sandbox.sign_in(address, "james", deny=True)
        answer = {name: values[0] for name, values in parse_qs(urlsplit(landed).query).items()}
        with pytest.raises(ConsentDenied):
            connection_manager.complete_oauth(user=self.user, answer=answer)

    def leave(self):
        connection_manager.disconnect(connection=self.connection, actor=self.user)


def test_whatever_happens_no_state_comes_out_of_nowhere(connect, person, sandbox, monkeypatch):
    monkeypatch.setattr(schwab, "CALLS_PER_MINUTE", 100_000)
    sandbox.limit(None)
    connection, chance = connect(person, "james"), random.Random(SEED)
    walk = Walk(connection, chance, connect, sandbox)
    often = [walk.work, walk.work_in_part, walk.fail, walk.fail, walk.come_to_an_end, walk.sign_in, walk.renew]
    seen = set()
    for _ in range(STEPS):
        step = chance.choice([*often, *often, walk.leave, walk.decline])
        step()
        connection.refresh_from_db()
        state = connection.status
        seen.add(state)
        assert state.label
        assert connection.reason.text or state is S.CONNECTED, step
        assert connection.reason.action or not state.needs_user, step
        assert (connection.state_until is None) or state not in (S.CONNECTED, S.NEEDS_REAUTH, S.DISCONNECTED), step
        assert bool(connection.sealed_credentials) == (state is not S.DISCONNECTED), step
    moves = [(S(event.from_state), S(event.to_state)) for event in connection.events.exclude(from_state="")]
    assert len(moves) > STEPS / 4
    assert all(new in TRANSITIONS[old] for old, new in moves)
    assert all(older[0] == newer[1] for older, newer in pairwise(moves)), "newest first, no gap"
    assert seen == set(S) - {S.PENDING_AUTH, S.DISCONNECTING}
