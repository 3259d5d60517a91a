"""One connected and synced login per way, for many tests: each of them leaves it as it found it."""

import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import requests
from django.core.cache import cache

from tests.conformance.ways import ACCOUNTS, HOLDINGS, TRANSACTIONS, Way
from tests.plugins.pacing import lift_pacing
from tests.plugins.sandbox_server import Sandbox

if TYPE_CHECKING:
    from brokerhub.kernel.models import User
    from connections.brokers.base import Connector
    from connections.models import Connection
    from sync.models import SyncRun

RECENT = timedelta(days=100)  # of transactions, enough to hold some
MOST_TRIES = 8


def facts(record: Any) -> tuple[Any, ...]:
    """A record's content without the raw row, so that two readings can be compared."""
    return tuple(getattr(record, fact.name) for fact in fields(record) if fact.name not in ("raw", "as_of"))


def floats(thing: Any, path: str = "") -> Iterator[str]:
    """Where a float hides in a record, its raw row included."""
    if isinstance(thing, float):
        yield path
    elif is_dataclass(thing):
        for fact in fields(thing):
            yield from floats(getattr(thing, fact.name), f"{path}.{fact.name}")
    elif isinstance(thing, dict):
        for key, value in thing.items():
            yield from floats(value, f"{path}[{key!r}]")
    elif isinstance(thing, list | tuple):
        for number, item in enumerate(thing):
            yield from floats(item, f"{path}[{number}]")


def said(error: BaseException) -> str:
    """All that a log could hold of an error."""
    return f"{error} {error!r} {''.join(traceback.format_exception(error))}"


def leaks(text: str, secrets: set[str]) -> set[str]:
    return {secret[:4] + "..." for secret in secrets if secret in text}


def secrets_of(connection: "Connection") -> set[str]:
    """Every stored secret that is long enough to be recognised, whatever it is nested in."""
    found: set[str] = set()

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            for item in value.values():
                collect(item)
        elif isinstance(value, str) and len(value) > 10:
            found.add(value)

    collect(connection.read_credentials())
    return found


def market_today() -> date:
    from sync import planning

    return planning.market_today()


def read(connector: "Connector", part: str, accounts: list[str], days: timedelta = RECENT) -> Any:
    """What a connector tells of one part, in a form in which neither order nor doubles count."""
    if part == ACCOUNTS:
        return connector.identity(), set(map(facts, connector.accounts()))
    if part == HOLDINGS:
        return {account: _held(connector, account) for account in accounts}
    assert part == TRANSACTIONS
    return {account: set(map(facts, rows(connector, account, days))) for account in accounts}


def _held(connector: "Connector", account: str) -> tuple[set[Any], set[Any]]:
    """A position told twice is one to the books, as a transaction is."""
    holdings = connector.holdings(account)
    return set(map(facts, holdings.positions)), set(map(facts, holdings.balances))


def rows(connector: "Connector", account: str, days: timedelta = RECENT) -> list[Any]:
    today = market_today()
    pages = connector.transactions(account, since=today - days, until=today)
    return [record for page in pages for record in page.records]


def request(connection: "Connection") -> "SyncRun":
    """Asks for a sync and takes its first step; it may be waiting after it."""
    from sync import sync_service
    from sync.models import Trigger

    run = sync_service.request_sync(user=connection.user, connection=connection, trigger=Trigger.MANUAL)
    return step(run)


def step(run: "SyncRun") -> "SyncRun":
    from sync import sync_service

    type(run).objects.filter(pk=run.pk).update(wait_until=None)
    sync_service.run_one(run.pk)
    run.refresh_from_db()
    return run


def sync(connection: "Connection") -> "SyncRun":
    """One sync to its end; waits are cut short, not slept through."""
    run = request(connection)
    for _ in range(MOST_TRIES):
        if not run.status.is_open:
            break
        cache.clear()  # the time is over for which the circuit breaker stays open
        step(run)
    assert not run.status.is_open, f"the run is still {run.state}: {run.wait_reason}"
    connection.refresh_from_db()
    return run


def books(connection: "Connection") -> dict[str, Any]:
    """All that the hub has written down of a connection, in a form that two moments can be compared by."""
    from aggregation.models import Balance, Position, Transaction

    mine = {"account__connection": connection}
    return {
        "accounts": sorted(connection.accounts.values_list("external_id", "mask", "currency")),
        "positions": sorted(
            Position.objects.held()
            .filter(**mine)
            .values_list("account", "instrument__key", "quantity", "average_cost", "market_value")
        ),
        "balances": sorted(Balance.objects.filter(**mine).values_list("account", "currency", "cash")),
        "transactions": set(
            Transaction.objects.filter(**mine).values_list("pk", "external_id", "status", "net_amount", "content_key")
        ),
    }


Days = dict[tuple[str, str], Decimal]


@dataclass(frozen=True, slots=True)
class Told:
    """An account in words that every broker and the hub share."""

    cash: dict[str, Decimal | None]
    held: dict[tuple[str, str], Decimal]
    fills: Counter[tuple[Any, ...]]
    days: Days = field(repr=False)  # (day, currency): the money that moved


def of_hub(connection: "Connection") -> dict[str, Told]:
    from aggregation.models import Balance, Position, Transaction

    told = {}
    for account in connection.accounts.all():
        booked = Transaction.objects.in_books().filter(account=account).select_related("instrument")
        days: Days = defaultdict(Decimal)
        for row in booked:
            days[row.traded_on.isoformat(), row.currency] += row.net_amount
        told[account.external_id] = Told(
            cash=dict(Balance.objects.filter(account=account).values_list("currency", "cash")),
            held={
                (held.instrument.symbol, held.currency): held.quantity.normalize()
                for held in Position.objects.held().filter(account=account).select_related("instrument")
            },
            fills=Counter(
                (row.kind, row.traded_on.isoformat(), row.instrument.symbol, row.quantity.normalize())
                for row in booked
                if row.kind in ("buy", "sell") and row.instrument and row.quantity is not None
            ),
            days={day: amount for day, amount in days.items() if amount},
        )
    return told


def of_broker(way: Way, accounts: list[dict[str, Any]], since: str) -> dict[str, Told]:
    told = {}
    for account in accounts:
        posted = [
            row
            for row in account["transactions"]
            if row["status"] == "posted" and way.tells(row) and row["traded_on"] >= since
        ]
        days: Days = defaultdict(Decimal)
        for row in posted:
            days[row["traded_on"], row["currency"]] += Decimal(row["net_amount"])
            for other in row["other_cash"]:
                days[row["traded_on"], other["currency"]] += Decimal(other["amount"])
        told[way.account_id(account)] = Told(
            cash={currency: Decimal(amount) for currency, amount in account["balances"].items()},
            held={
                (held["symbol"], held["currency"]): Decimal(held["quantity"]).normalize()
                for held in account["positions"]
                if way.holds(held)
            },
            fills=Counter(
                (row["kind"], row["traded_on"], row["symbol"], Decimal(row["quantity"]).normalize())
                for row in posted
                if row["kind"] in ("buy", "sell") and row["symbol"] and row["quantity"] is not None
            ),
            days={day: amount for day, amount in days.items() if amount},
        )
    return told


@dataclass
class Stage:
    """The login of one way, connected and synced once. What a test does to the books is rolled back."""

    way: Way
    sandbox: Sandbox
    user: "User"
    connection_id: UUID
    run: "SyncRun"
    books: dict[str, Any] = field(repr=False)
    called: frozenset[str]  # what was asked of the broker so far; a login may hold nothing of a kind
    good: dict[str, Any] = field(default_factory=dict, repr=False)  # {part: its undisturbed reading}
    grant: tuple[Any, ...] = field(default=(), repr=False)  # what the broker has given since, which nothing rolls back

    @property
    def connection(self) -> "Connection":
        from connections.models import Connection

        return Connection.objects.select_related("user").get(pk=self.connection_id)

    @property
    def accounts(self) -> list[str]:
        return list(self.connection.accounts.values_list("external_id", flat=True))

    @property
    def connector(self) -> "Connector":
        from connections import connection_manager

        return connection_manager.connector_for(self.connection)

    def operations(self, part: str) -> dict[str, str]:
        return {name: vital for name, vital in self.way.reads[part].items() if name in self.called}

    def read(self, part: str) -> Any:
        return read(self.connector, part, self.accounts)

    def undisturbed(self, part: str) -> Any:
        if part not in self.good:
            self.good[part] = self.read(part)
        return self.good[part]

    @contextmanager
    def struck(self, kind: str, *operations: str, **how: Any) -> Iterator[None]:
        """A fault of each operation for as long as the block runs. After it all is well again, the sign-in included."""
        for operation in operations:
            self.sandbox.fault(kind, operation, broker=self.way.broker, **how)
        try:
            yield
        finally:
            self.sandbox.clear_faults()
            cache.clear()
            if not self.connection.status.may_sync:
                self.sign_in_again()

    def sign_in_again(self) -> None:
        """As the person does when the broker has ended the access; the connection stays the same."""
        assert self.way.connect(self.sandbox, self.user, connection=self.connection).pk == self.connection_id

    def take_up(self) -> None:
        """Before a test: the database knows the newest grant, or there is a new one."""
        from connections.models import Connection

        if self.grant:
            names = ("sealed_credentials", "access_expires_at")
            Connection.objects.filter(pk=self.connection_id).update(**dict(zip(names, self.grant[:2], strict=True)))
            if not self.grant[2]:
                self.sign_in_again()

    def put_down(self) -> None:
        """After a test, before its changes are rolled back."""
        connection = self.connection
        works = connection.state in ("connected", "expiring")
        self.grant = (bytes(connection.sealed_credentials), connection.access_expires_at, works)


def make_quick(way: Way, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub is registered at the broker, long histories are read in part."""
    from connections.brokers import BROKERS, schwab

    monkeypatch.setattr(schwab, "CALLS_PER_MINUTE", 100_000)
    sandbox.limit(None)
    way.register(sandbox, monkeypatch)
    if way.history is not None:
        from connections.brokers.base import AppKeys

        connector = BROKERS[way.method].connector(None, None, AppKeys())  # type: ignore[arg-type]
        monkeypatch.setattr(type(connector), "history", way.history)


@contextmanager
def set_up(way: Way, base_url: str) -> Iterator[Stage]:
    from brokerhub.kernel.models import User
    from health.recording import recorder

    recorder.flush_after = None  # no thread writes behind a test's back
    with requests.Session() as http, pytest.MonkeyPatch.context() as monkeypatch:
        sandbox = Sandbox(base_url, http)
        sandbox.reset()
        cache.clear()
        lift_pacing(sandbox, monkeypatch)
        make_quick(way, sandbox, monkeypatch)
        user = User.objects.create_user("ada@example.com", "correct horse battery", name="Ada")
        connection = way.connect(sandbox, user)
        run = sync(connection)
        called = frozenset(call["operation"] for call in sandbox.calls() if call["broker"] == way.broker)
        yield Stage(way, sandbox, user, connection.pk, run, books(connection), called)
