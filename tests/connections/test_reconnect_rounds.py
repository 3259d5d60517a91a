"""Signing in again and again, in every way and after every mishap, leaves the books as they were."""

import random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db.models import Count

from aggregation.models import Balance, Position, Transaction
from connections import connection_manager
from connections.brokers import schwab
from connections.brokers.base import KeysRefused, NeedsReauth
from connections.brokers.records import AuthMethod, Broker
from connections.errors import ConsentDenied, DifferentLogin
from connections.models import Account, Authorization, Connection
from tests.journey.books import sync

SEED = 2026


class Official:
    """A person and their connection at a broker with a sign-in page of its own."""

    def __init__(self, person, sandbox, broker, method, login, other):
        self.person, self.sandbox, self.broker, self.method = person, sandbox, broker, method
        self.login, self.other = login, other
        self.connection = self.connect()

    def sign_in(self, connection, login=None, **choice):
        landed = self.sandbox.sign_in(
            connection_manager.start_oauth(connection=connection), login or self.login, **choice
        )
        answer = {name: values[0] for name, values in parse_qs(urlsplit(landed).query).items()}
        return connection_manager.complete_oauth(user=self.person, answer=answer, broker=self.broker)

    def connect(self):
        """As somebody does who has forgotten that this broker is connected already."""
        created = connection_manager.create_connection(user=self.person, broker=self.broker, method=self.method)
        return self.sign_in(created)

    def repair(self):
        return self.sign_in(self.connection)

    def renew(self):
        connection_manager.refresh_credentials(self.connection)
        return self.connection

    def drop_access(self):
        """The broker ends the access token early; a call finds out, and renews it."""
        self.sandbox.end_tokens(self.login, expire=True, broker=self.broker)
        assert connection_manager.connector_for(self.connection).accounts()
        return self.connection

    def run_out(self):
        self.sandbox.end_tokens(self.login, expire=True, revoke=True, broker=self.broker)
        with pytest.raises(NeedsReauth):
            connection_manager.refresh_credentials(self.connection)
        assert self.connection.state == "needs_reauth"
        return self.sign_in(self.connection)

    def decline_and_think_better_of_it(self):
        with pytest.raises(ConsentDenied):
            self.sign_in(self.connection, deny=True)
        return self.sign_in(self.connection)

    def mistake_the_login(self):
        with pytest.raises(DifferentLogin):
            self.sign_in(self.connection, self.other)
        return self.sign_in(self.connection)

    def leave_and_come_back(self):
        connection_manager.disconnect(connection=self.connection, actor=self.person)
        return self.connect()

    def leave_and_repair(self):
        connection_manager.disconnect(connection=self.connection, actor=self.person)
        return self.sign_in(self.connection)


class ByKeys:
    """A person and their connection by the two numbers of a Flex query."""

    def __init__(self, person, sandbox):
        self.person, self.sandbox = person, sandbox
        self.connection = self.connect()

    def enter(self, connection=None, query="1001001"):
        token = self.sandbox.control("ibkr/flex", login="maria")["token"]
        return connection_manager.connect_with_keys(
            user=self.person,
            method=AuthMethod.IBKR_FLEX,
            keys={"token": token, "query_id": query},
            connection=connection,
        )

    def connect(self):
        return self.enter()

    def repair(self):
        return self.enter(self.connection)

    def run_out(self):
        with pytest.raises(NeedsReauth):
            connection_manager.refresh_credentials(self.connection)
        assert (self.connection.state, self.connection.reason_code) == ("needs_reauth", "keys_refused")
        return self.enter(self.connection)

    def mistype(self):
        with pytest.raises(KeysRefused):
            self.enter(self.connection, query="")
        return self.enter(self.connection)

    def leave_and_come_back(self):
        connection_manager.disconnect(connection=self.connection, actor=self.person)
        return self.enter()


OFFICIAL = (
    Official.connect,
    Official.repair,
    Official.renew,
    Official.drop_access,
    Official.run_out,
    Official.decline_and_think_better_of_it,
    Official.mistake_the_login,
    Official.leave_and_come_back,
    Official.leave_and_repair,
)
BY_KEYS = (ByKeys.connect, ByKeys.repair, ByKeys.run_out, ByKeys.mistype, ByKeys.leave_and_come_back)


@pytest.fixture
def connected(person, sandbox, unpaced, monkeypatch):
    """One connection of each kind, and what may happen to it."""
    sandbox.limit(None)
    monkeypatch.setattr(schwab, "CALLS_PER_MINUTE", 100_000)
    ways = [
        Official(person, sandbox, Broker.SCHWAB, AuthMethod.SCHWAB_OAUTH, "james", "maria"),
        Official(person, sandbox, Broker.ROBINHOOD, AuthMethod.ROBINHOOD_OAUTH, "james", "maria"),
        ByKeys(person, sandbox),
    ]
    return [(way, OFFICIAL if isinstance(way, Official) else BY_KEYS) for way in ways]


def books():
    """How many rows of each kind there are, and which rows the connections and accounts are."""
    rows = {model.__name__: model.objects.count() for model in (Transaction, Position, Balance)}
    accounts = Account.objects.annotate(rows=Count("transactions")).values_list("pk", "connection_id", "rows")
    return rows | {"connections": set(Connection.objects.values_list("pk", "label")), "accounts": set(accounts)}


def script(connected, rounds):
    """So many rounds, in an order that only the seed knows; each kind comes before any comes again."""
    draw = random.Random(SEED)
    deck: list[Any] = []
    for _ in range(rounds):
        if not deck:
            deck = [(way, step) for way, steps in connected for step in steps]
            draw.shuffle(deck)
        yield deck.pop()


@pytest.mark.parametrize("rounds", [23, pytest.param(100, marks=pytest.mark.endurance)])
def test_reconnecting_leaves_the_row_counts_as_they_were(rounds, connected):
    for way, _ in connected:
        sync(way.connection)
    before = books()
    assert len(before["connections"]) == 3
    assert before["Transaction"] > 1_000

    played = set()
    for number, (way, step) in enumerate(script(connected, rounds)):
        after = step(way)
        assert (number, step.__name__, after.pk, after.state) == (number, step.__name__, way.connection.pk, "connected")
        way.connection = after
        played.add((way.connection.broker, step))

    assert len(played) == sum(len(steps) for _, steps in connected) <= rounds, "every kind of round came up"
    assert books() == before
    for way, _ in connected:
        sync(way.connection)
    assert books() == before
    assert not Authorization.objects.filter(used_at=None).exists()
