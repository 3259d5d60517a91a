"""Whose fault a failed call is: the table of it, and what the transport makes of what happened to others."""

import errno
import socket
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import requests
import urllib3
from django.core.cache import cache
from django.utils import timezone

from connections import connection_manager
from connections.brokers import breaker, surroundings
from connections.brokers.attribution import Evidence, attribute, is_our_network
from connections.brokers.base import NeedsReauth, SignInsRefused
from connections.brokers.calls import Attribution, BrokerCall, Operation, Outcome, call_finished
from connections.brokers.records import Broker
from connections.models import Connection
from sync.models import SyncRun
from tests.aggregation.factories import a_connection
from tests.sync.runs import ask, work

OURS, BROKER, LOGIN, NOBODY = Attribution.OURS, Attribution.BROKER, Attribution.CREDENTIAL, Attribution.NONE
TABLE: list[tuple[dict[str, Any], Attribution]] = [
    ({"outcome": Outcome.OK, "said": NOBODY, "status": 200}, NOBODY),
    ({"outcome": Outcome.SERVER_ERROR, "said": BROKER, "status": 500}, BROKER),
    ({"outcome": Outcome.SERVER_ERROR, "said": BROKER, "status": 503}, BROKER),
    ({"outcome": Outcome.BAD_REPLY, "said": BROKER, "status": 200}, BROKER),
    ({"outcome": Outcome.RATE_LIMITED, "said": OURS, "status": 429}, OURS),
    ({"outcome": Outcome.CLIENT_ERROR, "said": OURS, "status": 400}, OURS),
    ({"outcome": Outcome.CLIENT_ERROR, "said": OURS, "status": 404}, OURS),
    ({"outcome": Outcome.CLIENT_ERROR, "said": OURS, "status": 410}, BROKER),
    ({"outcome": Outcome.CLIENT_ERROR, "said": LOGIN, "status": 410}, LOGIN),  # a session the broker has forgotten
    ({"outcome": Outcome.UNAUTHORIZED, "said": LOGIN, "status": 401, "logins_refused": 1}, LOGIN),
    ({"outcome": Outcome.UNAUTHORIZED, "said": LOGIN, "status": 403, "logins_refused": 2}, LOGIN),
    ({"outcome": Outcome.UNAUTHORIZED, "said": LOGIN, "status": 401, "logins_refused": 3}, BROKER),
    ({"outcome": Outcome.UNAUTHORIZED, "said": OURS, "status": 401, "logins_refused": 9}, OURS),  # the app's own key
    ({"outcome": Outcome.NETWORK, "said": BROKER}, BROKER),
    ({"outcome": Outcome.NETWORK, "said": BROKER, "brokers_away": 1}, BROKER),
    ({"outcome": Outcome.NETWORK, "said": BROKER, "brokers_away": 2}, OURS),
    ({"outcome": Outcome.NETWORK, "said": BROKER, "is_our_network": True}, OURS),
    ({"outcome": Outcome.TIMEOUT, "said": BROKER}, BROKER),
    ({"outcome": Outcome.TIMEOUT, "said": BROKER, "brokers_away": 3}, OURS),
]


@pytest.mark.parametrize(("facts", "whose"), TABLE)
def test_the_table(facts: dict[str, Any], whose: Attribution) -> None:
    assert attribute(Evidence(**facts)) is whose


def wrapped(cause: Exception) -> requests.ConnectionError:
    """As requests and urllib3 hand an error of the socket on."""
    refused = urllib3.exceptions.NewConnectionError(None, "no connection")  # type: ignore[arg-type]
    refused.__cause__ = cause
    return requests.ConnectionError(urllib3.exceptions.MaxRetryError(None, "/", refused))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (wrapped(OSError(errno.ENETUNREACH, "Network is unreachable")), True),
        (wrapped(socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")), True),
        (wrapped(socket.gaierror(socket.EAI_NONAME, "Name or service not known")), False),
        (wrapped(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")), False),
        (wrapped(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")), False),
        (requests.exceptions.ProxyError("the proxy is away"), True),
        (requests.exceptions.InvalidURL("no host"), True),
        (requests.exceptions.SSLError("certificate has expired"), False),
        (requests.exceptions.ReadTimeout("slow"), False),
        (None, False),
    ],
)
def test_which_errors_are_of_our_own_network(error: Exception | None, ours: bool) -> None:
    assert is_our_network(error) is ours


def test_one_login_after_the_other_refused_counts_up_until_one_is_let_in() -> None:
    first, second = uuid4(), uuid4()
    assert [surroundings.refused(Broker.SCHWAB, each) for each in (first, first, second)] == [1, 1, 2]
    assert surroundings.refused(Broker.ALPACA, first) == 1
    surroundings.answered(Broker.SCHWAB, None)  # a call for nobody in particular says nothing about logins
    assert surroundings.refused(Broker.SCHWAB, uuid4()) == 3
    surroundings.answered(Broker.SCHWAB, second)
    assert surroundings.refused(Broker.SCHWAB, first) == 1


def test_a_broker_is_away_until_it_answers_whatever_it_says() -> None:
    assert surroundings.unreachable(Broker.SCHWAB) == 0
    assert surroundings.unreachable(Broker.ALPACA) == 1
    surroundings.refused(Broker.SCHWAB, uuid4())
    assert surroundings.unreachable(Broker.ALPACA) == 0
    cache.clear()


# --- What a refused login is told -------------------------------------------------------------------------------------
REFUSED = NeedsReauth("refused", reason_code="access_refused")


def is_told_to_sign_in(connection: Connection) -> bool:
    surroundings.refused(Broker.SCHWAB, connection.pk)
    try:
        surroundings.doubt(Broker.SCHWAB, connection.pk, REFUSED)
    except SignInsRefused:
        return False
    return True


@pytest.mark.django_db
def test_nobody_is_told_that_their_login_is_broken_while_the_broker_may_be_refusing_everybody() -> None:
    connections = [a_connection() for _ in range(4)]
    assert [is_told_to_sign_in(each) for each in connections[:3]] == [False] * 3
    surroundings.answered(Broker.SCHWAB, connections[0].pk)
    assert is_told_to_sign_in(connections[3]) is False, "the other was let in before this refusal"


@pytest.mark.django_db
def test_a_login_that_is_refused_while_another_is_let_in_has_to_sign_in_again() -> None:
    first, second, _ = [a_connection() for _ in range(3)]
    assert is_told_to_sign_in(first) is False
    surroundings.answered(Broker.SCHWAB, second.pk)
    assert is_told_to_sign_in(first) is True


@pytest.mark.django_db
def test_without_enough_others_to_compare_with_a_refusal_is_the_login_s_own() -> None:
    first, _ = a_connection(), a_connection()
    assert is_told_to_sign_in(first) is True


@pytest.mark.django_db
def test_a_refusal_that_lasts_is_the_login_s_own_though_nobody_else_was_seen() -> None:
    first, *_ = [a_connection() for _ in range(3)]
    remember_refusals(first, since=timedelta(minutes=11))
    assert is_told_to_sign_in(first) is True


@pytest.mark.django_db
def test_a_broker_that_has_ended_every_sign_in_for_good_is_not_waited_for_for_ever() -> None:
    connections = [a_connection() for _ in range(3)]
    remember_refusals(*connections, since=timedelta(hours=5))
    assert [is_told_to_sign_in(each) for each in connections] == [False] * 3
    remember_refusals(*connections, since=timedelta(hours=7))
    assert [is_told_to_sign_in(each) for each in connections] == [True] * 3


@pytest.mark.django_db
def test_refusals_of_this_morning_are_no_evidence_against_the_broker() -> None:
    connections = [a_connection() for _ in range(3)]
    cache.set("refused_logins:schwab", {each.pk: timezone.now() - timedelta(hours=3) for each in connections[1:]})
    assert surroundings.refused(Broker.SCHWAB, connections[0].pk) == 1


def remember_refusals(*connections: Connection, since: timedelta) -> None:
    """They have been refused all the time."""
    now = timezone.now()
    cache.set("refused_logins:schwab", {each.pk: now for each in connections})
    for each in connections:
        cache.set(f"first_refused:schwab:{each.pk}", now - since)


def sign_in_three(connect: Any, person: Any, stranger: Any, sandbox: Any) -> list[Connection]:
    third = type(person).objects.create_user("third@example.com")
    sandbox.invent("third", transactions=1)
    return [connect(person, "maria"), connect(stranger, "james"), connect(third, "third")]


def test_when_a_broker_refuses_every_login_syncs_wait_and_nobody_has_to_sign_in(
    connect: Any, person: Any, stranger: Any, sandbox: Any, unpaced: None
) -> None:
    connections = sign_in_three(connect, person, stranger, sandbox)
    for operation in ("account_numbers", "accounts", "transactions", "user_preference"):
        sandbox.fault("401", operation)
    runs = [work(ask(connection)) for connection in connections]
    assert [run.state for run in runs] == ["waiting"] * 3
    for connection in connections:
        connection.refresh_from_db()
    assert "needs_reauth" not in {connection.state for connection in connections}
    sandbox.clear_faults()
    for operation in Operation:
        breaker.succeeded(Broker.SCHWAB, operation)
    SyncRun.objects.update(wait_until=None)
    assert [work(run).state for run in runs] == ["succeeded"] * 3


def test_when_a_broker_refuses_every_renewal_nobody_has_to_sign_in_and_the_next_ones_mend_it(
    connect: Any, person: Any, stranger: Any, sandbox: Any
) -> None:
    connections = sign_in_three(connect, person, stranger, sandbox)
    sandbox.fault("401", "token", body={"error": "invalid_grant"})
    told: list[BrokerCall] = []
    call_finished.connect(lambda call, **_: told.append(call), weak=False, dispatch_uid="test")
    for connection in connections:
        with pytest.raises(SignInsRefused):
            connection_manager.refresh_credentials(connection)
        connection.refresh_from_db()
        assert (connection.state, connection.reason_code) == ("error", "sign_ins_refused")
    call_finished.disconnect(dispatch_uid="test")
    assert [call.attribution for call in told] == [LOGIN, LOGIN, BROKER]
    assert [call.connection_id for call in told] == [each.pk for each in connections]
    sandbox.clear_faults()
    for connection in connections:
        connection_manager.refresh_credentials(connection)
        assert connection.state == "connected"


def test_a_renewal_refused_to_one_login_asks_for_a_sign_in_once_another_is_let_in(
    connect: Any, person: Any, stranger: Any, sandbox: Any
) -> None:
    first, second, _ = sign_in_three(connect, person, stranger, sandbox)
    sandbox.fault("401", "token", times=2, body={"error": "invalid_grant"})
    with pytest.raises(SignInsRefused):
        connection_manager.refresh_credentials(first)
    connection_manager.connector_for(second).accounts()
    with pytest.raises(NeedsReauth):
        connection_manager.refresh_credentials(first)
    first.refresh_from_db()
    assert (first.state, first.reason_code) == ("needs_reauth", "refresh_refused")
