"""Whose fault a failed call is: the table of it, and what the transport makes of what happened to others."""

import errno
import socket
from typing import Any
from uuid import uuid4

import pytest
import requests
import urllib3
from django.core.cache import cache

from connections.brokers import surroundings
from connections.brokers.attribution import Evidence, attribute, is_our_network
from connections.brokers.calls import Attribution, Outcome
from connections.brokers.records import Broker

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
