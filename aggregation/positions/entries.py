"""What is held, piece by piece: an account's part of an instrument, or its cash in a currency. No queries."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from aggregation.account_aggregator import AccountSummary, Portfolio
from aggregation.models import Balance, BalancePoint, Instrument, Position, PositionPoint
from aggregation.positions.identity import Thing
from aggregation.rates.exchange import Gap, Quote
from aggregation.valuation import average_cost, cost_of, difference, fraction, known_sum
from connections.brokers.records import AssetClass
from connections.models import Account

CASH = "cash"
CLASSES = {**dict(AssetClass.choices), CASH: "Cash"}
# By what an account's amounts in a currency are told in the one the table is shown in.
QuoteOf = Callable[[AccountSummary, str], Quote | Gap]


@dataclass(frozen=True, slots=True)
class Entry:
    """One piece, as its broker said it. Amounts are in `currency`; times `rate` they are in the table's.

    `average_cost` is per unit, `cost` is the whole: quantity x cost per unit x multiplier, negative when sold short.
    """

    account: Account
    instrument: Instrument | None
    thing: Thing | None
    currency: str
    quantity: Decimal | None
    average_cost: Decimal | None
    cost: Decimal | None
    price: Decimal | None
    value: Decimal | None
    day_change: Decimal | None
    gain: Decimal | None
    as_of: datetime
    quote: Quote | Gap

    @property
    def rate(self) -> Decimal | None:
        return None if isinstance(self.quote, Gap) else self.quote.rate

    @property
    def asset_class(self) -> str:
        return CASH if self.instrument is None else self.instrument.asset_class

    @property
    def broker(self) -> str:
        return self.account.connection.broker


def entries(portfolio: Portfolio, quote_of: QuoteOf) -> Iterator[Entry]:
    """Everything held in the accounts of `portfolio`. Cash of nothing is left out; cash nobody told is not."""
    for summary in portfolio.accounts:
        for lot in summary.lots:
            quote = quote_of(summary, lot.position.currency)
            yield _of_position(lot.position, summary.account, portfolio.thing(lot), quote)
        for balance in summary.balances:
            if balance.cash != 0:
                yield _of_cash(balance, summary.account, quote_of(summary, balance.currency))


def _of_position(held: Position, account: Account, thing: Thing, quote: Quote | Gap) -> Entry:
    cost = cost_of(held.quantity, held.average_cost, held.instrument.multiplier)
    return Entry(
        account=account,
        instrument=held.instrument,
        thing=thing,
        currency=held.currency,
        quantity=held.quantity,
        average_cost=held.average_cost,
        cost=cost,
        price=held.price,
        value=held.market_value,
        day_change=held.day_change,
        gain=difference(held.market_value, cost),
        as_of=held.as_of,
        quote=quote,
    )


def _of_cash(balance: Balance, account: Account, quote: Quote | Gap) -> Entry:
    """Cash neither gains nor changes in its own currency."""
    return Entry(
        account=account,
        instrument=None,
        thing=None,
        currency=balance.currency,
        quantity=balance.cash,
        average_cost=None,
        cost=balance.cash,
        price=None,
        value=balance.cash,
        day_change=Decimal(0),
        gain=Decimal(0),
        as_of=balance.as_of,
        quote=quote,
    )


def of_point(point: PositionPoint, account: Account, thing: Thing, quote: Quote | Gap, at: datetime) -> Entry:
    """As it was on the evening `at`."""
    return Entry(
        account=account,
        instrument=point.instrument,
        thing=thing,
        currency=point.currency,
        quantity=point.quantity,
        average_cost=None,
        cost=None,
        price=point.price,
        value=point.value,
        day_change=None,
        gain=None,
        as_of=at,
        quote=quote,
    )


def of_past_cash(point: BalancePoint, account: Account, quote: Quote | Gap, at: datetime) -> Entry:
    """Cash as it was on the evening `at`; unknown where only the account's value is."""
    return Entry(
        account=account,
        instrument=None,
        thing=None,
        currency=point.currency,
        quantity=point.cash,
        average_cost=None,
        cost=point.cash,
        price=None,
        value=point.cash,
        day_change=Decimal(0),
        gain=Decimal(0),
        as_of=at,
        quote=quote,
    )


def times(amount: Decimal | None, rate: Decimal | None) -> Decimal | None:
    return None if amount is None or rate is None else amount * rate


@dataclass(frozen=True, slots=True)
class Sums:
    """Of several entries in the table's currency. Each is the sum of what is known; `*_unknown` counts the rest, and
    a sum that has any is not the whole."""

    value: Decimal
    value_unknown: int
    day_change: Decimal
    day_unknown: int
    gain: Decimal
    gain_unknown: int
    parts: int

    @classmethod
    def of(cls, parts: Iterable[Entry]) -> "Sums":
        found = list(parts)
        value, value_unknown = _sum(times(entry.value, entry.rate) for entry in found)
        day, day_unknown = _sum(times(entry.day_change, entry.rate) for entry in found)
        gain, gain_unknown = _sum(times(entry.gain, entry.rate) for entry in found)
        return cls(value, value_unknown, day, day_unknown, gain, gain_unknown, len(found))

    @property
    def known_value(self) -> Decimal | None:
        """None when no part is known: unknown is not nothing."""
        return None if self.value_unknown == self.parts > 0 else self.value

    @property
    def known_day_change(self) -> Decimal | None:
        return None if self.day_unknown == self.parts > 0 else self.day_change

    @property
    def known_gain(self) -> Decimal | None:
        return None if self.gain_unknown == self.parts > 0 else self.gain

    @property
    def whole(self) -> Decimal | None:
        """The value when all of it is known."""
        return None if self.value_unknown else self.value


def _sum(amounts: Iterable[Decimal | None]) -> tuple[Decimal, int]:
    total, unknown = Decimal(0), 0
    for amount in amounts:
        if amount is None:
            unknown += 1
        else:
            total += amount
    return total, unknown


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: one instrument in one currency, or one currency's cash, over the accounts that hold it.

    `value`, `day_change`, `gain` and `cost` are in `currency`; `worth`, `day_worth` and `gain_worth` are the same in
    the table's. `weight` is the share of all that is held, 0..1, and None while any part of that is unknown.
    """

    parts: tuple[Entry, ...]
    instrument: Instrument | None
    account_id: int
    currency: str
    quantity: Decimal | None
    average_cost: Decimal | None
    cost: Decimal | None
    value: Decimal | None
    day_change: Decimal | None
    gain: Decimal | None
    worth: Decimal | None
    day_worth: Decimal | None
    gain_worth: Decimal | None
    gain_share: Decimal | None
    weight: Decimal | None

    @classmethod
    def of(cls, parts: Iterable[Entry], lead: Instrument | None, whole: Decimal | None) -> "Row":
        """`whole` is the worth of everything held."""
        known = tuple(parts)
        thing = known[0].thing
        cost = known_sum(entry.cost for entry in known)
        gain = known_sum(entry.gain for entry in known)
        worth = known_sum(times(entry.value, entry.rate) for entry in known)
        return cls(
            parts=known,
            instrument=lead,
            account_id=thing.account_id if thing else 0,
            currency=known[0].currency,
            quantity=known_sum(entry.quantity for entry in known),
            average_cost=average_cost((entry.quantity or Decimal(0), entry.average_cost) for entry in known),
            cost=cost,
            value=known_sum(entry.value for entry in known),
            day_change=known_sum(entry.day_change for entry in known),
            gain=gain,
            worth=worth,
            day_worth=known_sum(times(entry.day_change, entry.rate) for entry in known),
            gain_worth=known_sum(times(entry.gain, entry.rate) for entry in known),
            gain_share=fraction(gain, None if cost is None else abs(cost)),
            weight=fraction(worth, whole),
        )

    @property
    def is_cash(self) -> bool:
        return self.instrument is None

    @property
    def title(self) -> str:
        return f"Cash in {self.currency}" if self.instrument is None else self.instrument.title

    @property
    def latest(self) -> Entry:
        """The entry whose broker spoke last: its price is the row's."""
        return max(self.parts, key=lambda entry: (entry.as_of, entry.account.pk))

    @property
    def price(self) -> Decimal | None:
        return self.latest.price

    @property
    def gap(self) -> Gap | None:
        """Why it cannot be told in the table's currency; None when it can."""
        return next((entry.quote for entry in self.parts if isinstance(entry.quote, Gap)), None)

    @property
    def rates_in_words(self) -> str:
        """The rates it is told by; empty when it is in the table's currency already."""
        quotes = [entry.quote for entry in self.parts if isinstance(entry.quote, Quote) and not entry.quote.is_own]
        return "; ".join(dict.fromkeys(quote.words for quote in quotes))

    @property
    def is_mixed(self) -> bool:
        """Long in one account and short in another: then there is no average cost to tell."""
        return len({entry.quantity > 0 for entry in self.parts if entry.quantity}) > 1
