"""What brokers do to the past, each in its own way: after the next sync the books equal the truth again.

The old version of a row stays, with the run that brought it, and the feed of changes tells what became of it. What a
broker's page knows no way of saying stands in CANNOT_SAY, in words.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from aggregation import ledger
from aggregation.models import Source, Transaction
from connections import connection_manager
from connections.brokers.ibkr_flex import IbkrFlex
from connections.brokers.records import AuthMethod, RecordStatus
from connections.models import Connection
from sync import planning
from sync.models import Mode, RunState, SyncRun
from sync.repair import taken_back
from tests.journey import test_alpaca_truth as alpaca
from tests.journey import test_ibkr_truth as ibkr
from tests.journey import test_robinhood_crypto_truth as robinhood_crypto
from tests.journey import test_robinhood_private_truth as robinhood_private
from tests.journey import test_robinhood_truth as robinhood
from tests.journey import test_truth as schwab
from tests.journey.books import sync
from tests.journey.test_robinhood_private_truth import connect as connect_private  # noqa: F401 (a fixture)
from tests.plugins.sandbox_server import Sandbox
from tests.sync.test_changes import Copy

pytestmark = pytest.mark.usefixtures("unpaced")

CANNOT_SAY = {
    "alpaca": {
        "a pending row that becomes posted": "its activities are told when they are done (docs: /v2/account/activities)"
    },
    "ibkr": {
        "a pending row that becomes posted": "a statement ends on the last market day that is over: nothing is pending",
        "a cash row changed under its id": "cash is reversed by a row of its own and booked anew (code Re)",
    },
    "robinhood": {
        "a reversed row": "the tools of the official server tell orders only, and an order is voided, never reversed",
        "a cash row of any kind": "the tools of the official server tell orders only",
    },
    "robinhood_crypto": {
        "a cancelled or an amended row": "a coin order that was executed is never taken back or changed (its OpenAPI)",
        "a cash row of any kind": "the API tells orders of coins only",
    },
    "robinhood_private": {
        "a reversed row that is no transfer": "everything but transfers is voided",
    },
}


@dataclass
class Stage:
    """One connection, its broker's levers, and a program that keeps a copy of the books by the feed."""

    sandbox: Sandbox
    connection: Connection
    number: str
    login: str
    agree: Callable[[], None]
    copy: Copy
    runs: list[SyncRun] = field(default_factory=list)

    def add(self, **facts: Any) -> str:
        row: str = self.sandbox.backdate(self.number, login=self.login, **facts)["activity_id"]
        return row

    def change(self, row: str, change: str, value: str | None = None) -> None:
        self.sandbox.correct(self.number, row, change, value, login=self.login)

    def sync(self, what: str, **wanted: Any) -> SyncRun:
        """A sync that succeeds, adds up, and after which books, feed and truth are one."""
        run = sync(self.connection, **wanted)
        assert run.state == RunState.SUCCEEDED, (what, run.error)
        assert run.fetched == run.inserted + run.matched + run.superseded, what
        self.runs.append(run)
        return run

    def follow(self) -> dict[str, Any]:
        """What the feed tells since the last time; the copy then has what the hub shows."""
        (page,) = self.copy.follow(limit=2000)
        shown = Transaction.objects.for_user(self.connection.user).shown()
        assert self.copy.rows.keys() == set(shown.values_list("pk", flat=True))
        told: dict[str, Any] = page
        return told

    def sees(self, what: str, *, replaced: int = 0, added: int = 0, **wanted: Any) -> None:
        """After one sync: so many rows replaced, the old ones kept with the run that had brought them; so many new."""
        run = self.sync(what, **wanted)
        assert (run.superseded + _taken_out(run), run.inserted) == (replaced, added), what
        self.agree()
        old = list(Transaction.objects.filter(superseded_by__run=run, status="superseded"))
        assert len(old) == replaced, what
        earlier = {each.pk for each in self.runs[:-1]}
        assert all(row.run_id in earlier and row.raw for row in old), what
        news = self.follow()
        assert sorted(news["removed"]) == sorted(row.pk for row in old), what
        assert {row["id"] for row in news["added"]} == set(
            Transaction.objects.filter(run=run).exclude(status="superseded").values_list("pk", flat=True)
        ), what
        assert news["modified"] == [], what

    def misses(self, what: str) -> None:
        """An ordinary sync cannot see it."""
        assert (self.sync(what).inserted, self.runs[-1].superseded) == (0, 0), what
        with pytest.raises(AssertionError):
            self.agree()
        self.follow()

    def repair(self, days_ago: int) -> dict[str, Any]:
        day = planning.market_today() - timedelta(days=days_ago)
        return {"mode": Mode.REPAIR, "days": (day - timedelta(days=2), day + timedelta(days=2))}


def _taken_out(run: SyncRun) -> int:
    """Rows the broker did not tell any more: they are in no count of rows fetched."""
    void = Transaction.objects.filter(run=run, status="void", stated="void")
    return void.count() if any("not told" in entry.text for entry in run.entries.all()) else 0


@pytest.fixture
def stage(sandbox: Sandbox, person: Any, token_client: Callable[..., APIClient]) -> Callable[..., Stage]:
    def make(connection: Connection, broker: str, login: str, agree: Callable[[], None]) -> Stage:
        number = sandbox.truth(login, broker=broker)["accounts"][0]["number"]
        return Stage(sandbox, connection, number, login, agree, Copy(token_client(person)))

    return make


def begin(stage: Stage) -> None:
    stage.sync("the first sync")
    stage.agree()
    stage.follow()


def test_schwab(connect, person, sandbox, stage) -> None:
    connection = connect(person, "james")
    on = stage(connection, "schwab", "james", lambda: schwab.agree(connection, sandbox, "james"))
    deposit, dividend = on.add(kind="deposit", amount="250"), on.add(kind="dividend", symbol="BND", amount="7.11")
    bought, sold = on.add(kind="buy", symbol="KO", quantity=5), on.add(kind="sell", symbol="KO", quantity=1, days_ago=4)
    interest, old = on.add(kind="interest", amount="1.23"), on.add(kind="fee", amount="9", days_ago=200)
    begin(on)
    on.change(dividend, "status")
    on.sees("a cancelled row", replaced=1)
    on.change(deposit, "reverse")
    on.sees("a reversed row", added=1)
    on.change(interest, "amount", "1.32")
    on.sees("an amended amount", replaced=1)
    on.change(bought, "price", "61.07")
    on.change(bought, "amount", "6")
    on.sees("an amended order", replaced=1)
    on.change(bought, "date")
    on.sees("an amended date", replaced=1)
    on.add(kind="withdrawal", amount="33.10", days_ago=20)
    on.sees("a back-dated row", added=1)
    on.add(kind="buy", symbol="KO", quantity=2, days_ago=14, late=True)
    on.sees("a late row", added=1)
    pending = [on.add(kind="deposit", amount=amount, days_ago=2, pending=True) for amount in ("70", "80")]
    on.sees("pending rows, which do not count", added=2)
    on.change(pending[0], "post")
    on.sees("a pending row that becomes posted", replaced=1)
    on.change(pending[1], "post", "anew")
    on.sees("a pending row that is posted under another id", replaced=1, added=1)
    on.change(sold, "vanish")
    on.sees("a row that is not told any more", replaced=1)
    assert any("was not told by Charles Schwab any more. It is kept as cancelled." in w for w in on.runs[-1].warnings)
    on.sees("nothing new")
    on.add(kind="deposit", amount="55", days_ago=200)
    on.misses("a late row older than the look-back")
    on.sees("what a repair finds", added=1, **on.repair(200))
    on.change(old, "amount", "-8.50")
    on.misses("an old row amended")
    on.sees("what a repair corrects", replaced=1, **on.repair(200))


def test_interactive_brokers_by_flex(person, sandbox, flex_keys, monkeypatch, stage) -> None:
    monkeypatch.setattr(IbkrFlex, "history", timedelta(days=700))  # two statements a sync instead of six
    connection = connection_manager.connect_with_keys(user=person, method=AuthMethod.IBKR_FLEX, keys=flex_keys)
    on = stage(connection, "ibkr", "maria", lambda: ibkr.agree(connection, sandbox))
    paid, dividend = on.add(kind="interest", amount="2.50"), on.add(kind="dividend", symbol="KO", amount="7.11")
    bought, sold = on.add(kind="buy", symbol="KO", quantity=5), on.add(kind="sell", symbol="KO", quantity=1, days_ago=4)
    begin(on)
    on.change(sold, "status")
    on.sees("a cancelled trade, told by another row", replaced=1, added=1)
    on.change(paid, "reverse")
    on.sees("a reversed row", added=1)
    on.change(dividend, "amount", "7.22")
    on.sees("an amended amount: reversed and booked anew", added=2)
    on.change(bought, "price", "61.07")
    on.sees("an amended trade, told by another row", replaced=1, added=1)
    again = on.add(kind="buy", symbol="KO", quantity=2)
    on.sees("a back-dated row", added=1)
    on.change(again, "date")
    on.sees("an amended date, told by another row", replaced=1, added=1)
    on.add(kind="fee", amount="7.50", days_ago=300)
    on.sees("a late row, for each sync reads the whole year of the query again", added=1)
    on.add(kind="fee", amount="4.50", days_ago=500)
    on.misses("a late row older than the query's year")
    on.sees("what a repair finds", added=1, **on.repair(500))


def test_robinhoods_official_server(connect_robinhood, person, sandbox, stage) -> None:
    connection = connect_robinhood(person)
    on = stage(connection, "robinhood", "james", lambda: robinhood.agree(connection, sandbox, "james"))
    bought, sold = on.add(kind="buy", symbol="KO", quantity=5), on.add(kind="sell", symbol="KO", quantity=1, days_ago=4)
    begin(on)
    on.change(sold, "status")
    on.sees("a cancelled order", replaced=1)
    on.change(bought, "price", "61.07")
    on.change(bought, "amount", "6")
    on.sees("an amended order", replaced=1)
    on.change(bought, "date")
    on.sees("an amended date", replaced=1)
    on.add(kind="buy", symbol="KO", quantity=2, days_ago=20)
    on.sees("a back-dated order", added=1)
    on.add(kind="buy", symbol="KO", quantity=3, days_ago=6, late=True, placed_days_ago=60)
    on.sees("an order that waited for long", added=1)
    waits = on.add(kind="buy", symbol="KO", quantity=4, days_ago=1, pending=True)
    on.sees("an order of which nothing was executed yet")
    on.change(waits, "post")
    on.sees("the same, executed", added=1)
    on.add(kind="buy", symbol="KO", quantity=1, days_ago=200)
    on.misses("a late order older than orders may wait")
    on.sees("what a repair finds", added=1, **on.repair(200))


def test_robinhoods_private_login(connect_private, person, sandbox, stage) -> None:  # noqa: F811
    connection = connect_private(person, "james")
    on = stage(connection, "robinhood", "james", lambda: robinhood_private.agree(connection, sandbox, "james"))
    deposit, dividend = on.add(kind="deposit", amount="250"), on.add(kind="dividend", symbol="KO", amount="7.11")
    bought, sold = on.add(kind="buy", symbol="KO", quantity=5), on.add(kind="sell", symbol="KO", quantity=1, days_ago=4)
    old = on.add(kind="buy", symbol="KO", quantity=1, days_ago=300)
    begin(on)
    on.change(sold, "status")
    on.sees("a cancelled order", replaced=1)
    on.change(dividend, "status")
    on.sees("a voided dividend", replaced=1)
    on.change(deposit, "reverse")
    on.sees("a reversed transfer, told by the transfer itself", added=1)
    on.change(bought, "price", "61.07")
    on.sees("an amended order", replaced=1)
    on.change(bought, "date")
    on.sees("an amended date", replaced=1)
    on.change(old, "price", "50.01")
    on.sees("an order of long ago, found by the day it changed", replaced=1)
    on.add(kind="dividend", symbol="KO", amount="3.21", days_ago=60)
    on.sees("a back-dated dividend, for dividends are read whole", added=1)
    on.add(kind="withdrawal", amount="12.50", days_ago=5, late=True)
    on.sees("a late row", added=1)
    waits = on.add(kind="buy", symbol="KO", quantity=4, days_ago=1, pending=True)
    announced = [on.add(kind="dividend", symbol="KO", amount="2", days_ago=1, pending=True)]
    announced.append(on.add(kind="deposit", amount="40", days_ago=1, pending=True))
    on.sees("what is pending does not count", added=2)
    for row in (waits, *announced):
        on.change(row, "post")
    on.sees("what was pending, posted", replaced=2, added=1)
    on.add(kind="interest", amount="1.10", days_ago=200)
    on.sees("back-dated interest, on the first page of its list", added=1)
    on.add(kind="buy", symbol="KO", quantity=1, days_ago=200)
    on.misses("an order back-dated in every way, older than the look-back")
    on.sees("what a repair finds", added=1, **on.repair(200))


def test_robinhoods_key_for_coins(connect_coins, person, sandbox, stage) -> None:
    connection = connect_coins(person)
    on = stage(connection, "robinhood", "maria", lambda: robinhood_crypto.agree(connection, sandbox))
    begin(on)
    on.add(kind="buy", symbol="ETH", quantity="0.25", days_ago=5)
    on.sees("a back-dated order", added=1)
    on.add(kind="buy", symbol="BTC", quantity="0.01", days_ago=2, late=True, placed_days_ago=60)
    on.sees("an order that waited for long", added=1)
    waits = on.add(kind="buy", symbol="ETH", quantity=1, days_ago=1, pending=True)
    on.sees("an order of which nothing was executed yet")
    on.change(waits, "post")
    on.sees("the same, executed", added=1)
    on.add(kind="buy", symbol="ETH", quantity="0.125", days_ago=200)
    on.misses("a late order older than orders may wait")
    on.sees("what a repair finds", added=1, **on.repair(200))


def test_alpaca(connect_alpaca, person, sandbox, stage) -> None:
    connection = connect_alpaca(person)
    on = stage(connection, "alpaca", "james", lambda: alpaca.agree(connection, sandbox))
    paid, interest = on.add(kind="interest", amount="2.50"), on.add(kind="interest", amount="1.23")
    bought, sold = on.add(kind="buy", symbol="KO", quantity=5), on.add(kind="sell", symbol="KO", quantity=1, days_ago=4)
    begin(on)
    on.change(sold, "status")
    on.sees("an execution taken back, which is not told any more", replaced=1)
    on.change(paid, "reverse")
    on.sees("a reversed row", added=1)
    on.change(interest, "amount", "1.32")
    on.sees("an amended amount: cancelled, and told anew", replaced=1, added=1)
    on.change(bought, "date")
    on.sees("an amended date of an execution, told anew", replaced=1, added=1)
    on.add(kind="fee", amount="2.50", days_ago=20)
    on.sees("a back-dated row", added=1)
    on.add(kind="buy", symbol="KO", quantity=2, days_ago=14, late=True)
    on.sees("a late row", added=1)
    on.add(kind="withdrawal", amount="12.50", days_ago=200)
    on.misses("a late row older than the look-back")
    on.sees("what a repair finds", added=1, **on.repair(200))


@pytest.mark.parametrize(("broker", "what"), [(broker, what) for broker in CANNOT_SAY for what in CANNOT_SAY[broker]])
def test_what_a_broker_cannot_say(broker: str, what: str) -> None:
    pytest.skip(f"{what}: {CANNOT_SAY[broker][what]}")


def test_much_that_is_missing_at_once_is_doubted_and_what_is_told_again_counts_again(
    connect, person, sandbox, stage
) -> None:
    connection = connect(person, "james")
    on = stage(connection, "schwab", "james", lambda: schwab.agree(connection, sandbox, "james"))
    rows = [on.add(kind="deposit", amount=f"{amount}", days_ago=amount) for amount in range(2, 12)]
    other = on.add(kind="deposit", amount="99", days_ago=3)
    begin(on)
    before = Transaction.objects.in_books().count()
    for row in rows:
        on.change(row, "vanish")
    assert any("So many at once are doubted" in warning for warning in on.sync("ten rows are missing").warnings)
    assert Transaction.objects.in_books().count() == before
    Transaction.objects.filter(external_id__in=rows).update(status="excluded")
    on.add(kind="deposit", amount="98", days_ago=2)
    on.change(other, "vanish")
    on.sync("one row is missing")
    gone = Transaction.objects.get(external_id=other, status="void")
    told = replace(taken_back(gone), status=RecordStatus.POSTED)
    ledger.book(account=gone.account, records=[told], source=Source.API, run_id=on.runs[-1].pk)
    assert Transaction.objects.in_books().filter(external_id=other).count() == 1
