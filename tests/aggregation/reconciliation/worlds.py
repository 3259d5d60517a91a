"""A person's accounts as they truly are and as the books have them; the two can be made to differ on purpose."""

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from aggregation.ledger import book, record_holdings
from aggregation.models import Break, Source
from aggregation.reconciliation.comparing import compare
from connections.brokers.records import (
    AssetClass,
    BalanceRecord,
    Broker,
    Holdings,
    InstrumentRecord,
    PositionRecord,
    RecordStatus,
    TransactionRecord,
)
from connections.brokers.records import TransactionKind as Kind
from connections.models import Account
from tests.aggregation.factories import AAPL, BND, a_connection, a_user, an_account

KO = InstrumentRecord(asset_class=AssetClass.EQUITY, symbol="KO", name="Coca-Cola Co", cusip="191216100")
FUND = InstrumentRecord(asset_class=AssetClass.MONEY_FUND, symbol="SWVXX", name="Value Advantage Money Fund")
BEFORE = datetime(2026, 11, 9, 21, 30, tzinfo=UTC)
NOW = datetime(2026, 11, 20, 21, 30, tzinfo=UTC)
TODAY = NOW.date()
CENT = Decimal("0.01")
FEE = Decimal("-4.95")


def money(amount: Any) -> Decimal:
    return Decimal(amount).quantize(CENT)


def share(symbol: str, **fields: Any) -> InstrumentRecord:
    return InstrumentRecord(asset_class=AssetClass.EQUITY, symbol=symbol, **fields)


class Side:
    """One account: `truth` is what happened, `told` what reached the books, of which `sent` is booked already."""

    def __init__(self, world: "World", account: Account) -> None:
        self.world, self.account = world, account
        self.truth: list[TransactionRecord] = []
        self.told: list[TransactionRecord] = []
        self.sent = 0
        self.said_units: dict[InstrumentRecord, Decimal] = {}
        self.apart: dict[InstrumentRecord | str, Decimal] = {}  # by so much the broker says more than is so

    def record(self, kind: Kind, on: date, net: Any = 0, thing: InstrumentRecord | None = None, quantity: Any = None,
               **fields: Any) -> TransactionRecord:  # fmt: skip
        self.world.number += 1
        units = None if quantity is None else Decimal(quantity)
        amount = money(net)
        price = abs(amount / units / (thing.multiplier if thing else 1)) if units and amount else None
        defaults: dict[str, Any] = {
            "external_id": f"t{self.world.number}",
            "settled_on": on,
            "instrument": thing,
            "quantity": units,
            "price": None if price is None else round(price, 6),
            "currency": thing.currency if thing else "USD",
            "raw": {},
        }
        return TransactionRecord(kind=kind, traded_on=on, net_amount=amount, **defaults | fields)

    def happens(self, *args: Any, **fields: Any) -> TransactionRecord:
        """It is so, and the books are told."""
        record = self.record(*args, **fields)
        self.truth.append(record)
        self.told.append(record)
        return record

    def unheard(self, *args: Any, **fields: Any) -> TransactionRecord:
        """It is so, and the books are not told."""
        record = self.record(*args, **fields)
        self.truth.append(record)
        return record

    def made_up(self, *args: Any, **fields: Any) -> TransactionRecord:
        """It is not so, and the books are told."""
        record = self.record(*args, **fields)
        self.told.append(record)
        return record

    def units(self, thing: InstrumentRecord) -> Decimal:
        return sum((row.quantity or Decimal(0) for row in self.truth if row.instrument == thing), Decimal(0))

    def holdings(self, as_of: datetime) -> Holdings:
        units: dict[InstrumentRecord, Decimal] = defaultdict(Decimal)
        cash: dict[str, Decimal] = defaultdict(Decimal)
        for row in self.truth:
            if row.status != RecordStatus.POSTED and row.raw.get("counted") is not True:
                continue
            if row.instrument is not None and row.quantity:
                units[row.instrument] += row.quantity
            cash[row.currency] += row.net_amount
        units |= self.said_units
        for what, amount in self.apart.items():
            if isinstance(what, str):
                cash[what] += amount
            else:
                units[what] += amount
        positions = tuple(self.position(thing, held) for thing, held in units.items() if held)
        balances = tuple(BalanceRecord(currency=c, cash=a, net_asset_value=None, raw={}) for c, a in cash.items())
        return Holdings(as_of=as_of, positions=positions, balances=balances)

    def position(self, thing: InstrumentRecord, held: Decimal) -> PositionRecord:
        price = self.world.prices[thing.symbol]
        value = money(held * price * thing.multiplier)
        return PositionRecord(
            instrument=thing, quantity=held, average_cost=None, price=price, market_value=value,
            currency=thing.currency, raw={},
        )  # fmt: skip

    def reach_the_hub(self, as_of: datetime, source: Source = Source.API) -> None:
        fresh, self.sent = self.told[self.sent :], len(self.told)
        book(account=self.account, records=fresh, source=source, run_id=None)
        record_holdings(account=self.account, holdings=self.holdings(as_of), run_id=None)

    def breaks(self) -> list[Break]:
        compare(self.account)
        return list(Break.objects.live().filter(account=self.account).select_related("instrument"))


class World:
    """Two years of an ordinary account, every number of it from a seed; and a second account of the same person."""

    def __init__(self, seed: int, *, broker: Broker = Broker.SCHWAB) -> None:
        self.dice, self.number = random.Random(seed), 0
        self.prices: dict[str, Decimal] = defaultdict(lambda: Decimal(50))
        for symbol, low in (("AAPL", 150), ("BND", 70), ("KO", 55)):
            self.prices[symbol] = money(self.dice.uniform(low, low * 1.3))
        self.prices["SWVXX"] = Decimal(1)
        user = a_user()
        self.main = Side(self, an_account(a_connection(user, broker=broker)))
        self.other = Side(self, an_account(a_connection(user, broker=Broker.ROBINHOOD, label="Robinhood")))
        self.left_out: set[str] = set()

    def past(self, side: Side | None = None) -> None:
        """Until the first comparison: money in, purchases, quarterly dividends, monthly fees and interest."""
        side = side or self.main
        day = date(2025, 1, 15)
        side.happens(Kind.DEPOSIT, day, self.dice.randrange(40000, 90000))
        for thing, units in ((AAPL, 40), (BND, 120), (KO, 100)):
            for _ in range(self.dice.randrange(1, 4)):
                day += timedelta(days=self.dice.randrange(3, 25))
                self.trade(side, Kind.BUY, thing, units + self.dice.randrange(0, 20), day)
        months = [date(2025 + n // 12, 1 + n % 12, 1) for n in range(5, 22)]
        for month in months:
            self.fee(side, month.replace(day=16))
            self.interest(side, month.replace(day=12))
            if month.month in (2, 5, 8, 11):
                self.dividend(side, month.replace(day=13))
        self.trade(side, Kind.SELL, AAPL, -self.dice.randrange(5, 15), date(2026, 9, 8))

    def lately(self, side: Side | None = None) -> None:
        """Between the two comparisons, but for what is `left_out`."""
        side = side or self.main
        self.trade(side, Kind.BUY, BND, self.dice.randrange(3, 9), date(2026, 11, 11))
        if "interest" not in self.left_out:
            self.interest(side, date(2026, 11, 12))
        if "dividend" not in self.left_out:
            self.dividend(side, date(2026, 11, 13))
        if "fee" not in self.left_out:
            self.fee(side, date(2026, 11, 16))
        self.trade(side, Kind.SELL, AAPL, -self.dice.randrange(1, 4), date(2026, 11, 17))

    def trade(self, side: Side, kind: Kind, thing: InstrumentRecord, units: Any, on: date, **fields: Any) -> Any:
        price = money(self.prices[thing.symbol] * Decimal(self.dice.uniform(0.97, 1.03)))
        fields = {"price": price, "settled_on": on + timedelta(days=1), **fields}
        return side.happens(kind, on, -price * units * thing.multiplier, thing, units, **fields)

    def fee(self, side: Side, on: date) -> None:
        side.happens(Kind.FEE, on, FEE, description="Custody")

    def interest(self, side: Side, on: date) -> None:
        side.happens(Kind.INTEREST, on, Decimal(self.dice.randrange(611, 689)) / 100)

    def dividend(self, side: Side, on: date, **fields: Any) -> Any:
        return side.happens(Kind.DIVIDEND, on, side.units(KO) * Decimal("0.485"), KO, **fields)

    def agree(self, sides: Iterable[Side] = ()) -> None:
        """The first comparison, at which nothing differs."""
        for side in sides or (self.main,):
            side.reach_the_hub(BEFORE)
            assert side.breaks() == []

    def go_on(self) -> list[Break]:
        """The second comparison; what it finds in the main account."""
        self.main.reach_the_hub(NOW)
        return self.main.breaks()


def later(record: TransactionRecord, **changes: Any) -> TransactionRecord:
    return replace(record, **changes)
