"""A broker-neutral account: events go in, cash and holdings follow from them to the cent.

Each broker's side derives its own wire format from this book and nothing else, so what it reports must balance.
"""

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Any

ZERO = Decimal(0)


class Kind(StrEnum):
    """What an event is, in the words every broker's view of it must lead back to."""

    BUY = "buy"
    SELL = "sell"
    DIVIDEND = "dividend"
    INTEREST = "interest"
    FEE = "fee"
    TAX = "tax"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    TRANSFER_IN = "transfer_in"
    TRANSFER_OUT = "transfer_out"
    SPLIT = "split"
    OPTION_EXERCISE = "option_exercise"
    OPTION_ASSIGNMENT = "option_assignment"
    OPTION_EXPIRATION = "option_expiration"
    FX = "fx"
    OTHER = "other"


class Nature(StrEnum):
    """The finer shade of an event that decides how a broker words it."""

    ORDER_BUY = "order_buy"
    ORDER_SELL = "order_sell"
    REINVESTMENT = "reinvestment"
    DELIVERY_BUY = "delivery_buy"  # shares taken because an option was exercised or assigned
    DELIVERY_SELL = "delivery_sell"
    DIVIDEND = "dividend"
    BANK_INTEREST = "bank_interest"
    MARGIN_INTEREST = "margin_interest"
    BOND_INTEREST = "bond_interest"
    LENDING_INTEREST = "lending_interest"  # for shares the broker lent out
    RECEIPT_FEE = "receipt_fee"
    SERVICE_FEE = "service_fee"
    WITHHOLDING = "withholding"
    ACH_IN = "ach_in"
    ACH_OUT = "ach_out"
    WIRE_IN = "wire_in"
    WIRE_OUT = "wire_out"
    CHECK_IN = "check_in"
    ELECTRONIC_IN = "electronic_in"
    JOURNAL_IN = "journal_in"
    JOURNAL_OUT = "journal_out"
    SHARES_IN = "shares_in"  # in kind, from another broker
    SHARES_OUT = "shares_out"  # in kind, to another broker
    SHARES_JOURNAL_IN = "shares_journal_in"  # in kind, from an own account here
    SHARES_JOURNAL_OUT = "shares_journal_out"
    SPLIT = "split"
    EXERCISE = "exercise"
    ASSIGNMENT = "assignment"
    EXPIRATION = "expiration"
    EXCHANGE = "exchange"  # one currency for another
    MEMORANDUM = "memorandum"  # moves neither cash nor shares

    @property
    def kind(self) -> Kind:
        return KINDS[self]


KINDS = {
    Nature.ORDER_BUY: Kind.BUY,
    Nature.ORDER_SELL: Kind.SELL,
    Nature.REINVESTMENT: Kind.BUY,
    Nature.DELIVERY_BUY: Kind.BUY,
    Nature.DELIVERY_SELL: Kind.SELL,
    Nature.DIVIDEND: Kind.DIVIDEND,
    Nature.BANK_INTEREST: Kind.INTEREST,
    Nature.MARGIN_INTEREST: Kind.INTEREST,
    Nature.BOND_INTEREST: Kind.INTEREST,
    Nature.LENDING_INTEREST: Kind.INTEREST,
    Nature.RECEIPT_FEE: Kind.FEE,
    Nature.SERVICE_FEE: Kind.FEE,
    Nature.WITHHOLDING: Kind.TAX,
    Nature.ACH_IN: Kind.DEPOSIT,
    Nature.ACH_OUT: Kind.WITHDRAWAL,
    Nature.WIRE_IN: Kind.DEPOSIT,
    Nature.WIRE_OUT: Kind.WITHDRAWAL,
    Nature.CHECK_IN: Kind.DEPOSIT,
    Nature.ELECTRONIC_IN: Kind.DEPOSIT,
    Nature.JOURNAL_IN: Kind.TRANSFER_IN,
    Nature.JOURNAL_OUT: Kind.TRANSFER_OUT,
    Nature.SHARES_IN: Kind.TRANSFER_IN,
    Nature.SHARES_OUT: Kind.TRANSFER_OUT,
    Nature.SHARES_JOURNAL_IN: Kind.TRANSFER_IN,
    Nature.SHARES_JOURNAL_OUT: Kind.TRANSFER_OUT,
    Nature.SPLIT: Kind.SPLIT,
    Nature.EXERCISE: Kind.OPTION_EXERCISE,
    Nature.ASSIGNMENT: Kind.OPTION_ASSIGNMENT,
    Nature.EXPIRATION: Kind.OPTION_EXPIRATION,
    Nature.EXCHANGE: Kind.FX,
    Nature.MEMORANDUM: Kind.OTHER,
}


class Status(StrEnum):
    POSTED = "posted"
    INVALID = "invalid"  # taken back by the broker: shown, but without effect
    PENDING = "pending"  # announced: shown, but without effect yet
    CORRECTED = "corrected"  # another row, which names it, counts in its place


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened in an account. Money in `currency`, signed from the account's side."""

    id: int  # the broker's activity id, unique per person
    nature: Nature
    at: datetime  # aware UTC; when it happened
    posted_at: datetime  # aware UTC; when the broker entered it, never before `at`
    traded_on: date
    settled_on: date
    symbol: str | None = None
    quantity: Decimal = ZERO  # + in, - out
    price: Decimal | None = None  # per unit as the broker reports it
    fees: tuple[tuple[str, Decimal], ...] = ()  # (what for, amount paid)
    cash: Decimal = ZERO  # net effect, fees inside
    basis: Decimal | None = None  # unit cost of shares that come without a price
    memo: Decimal = ZERO  # an amount that is told but does not move
    order: int | None = None  # fills of one order share it
    closing: bool = False  # the order reduced a holding rather than opened one
    currency: str = "USD"  # of price, cash and, unless told otherwise, fees
    fee_currency: str = ""  # of fees that `cash` does not hold because they are taken in another currency
    other_cash: tuple[tuple[str, Decimal], ...] = ()  # what the event moves in other currencies, signed
    note: str = ""  # detail for the broker's wording: counter account, period, ...
    of: int | None = None  # the event that this one takes back or corrects
    placed_at: datetime | None = None  # aware UTC; when an order was given, if not just before it was executed
    changed_at: datetime | None = None  # aware UTC; when the broker changed the row, if it ever did
    status: Status = Status.POSTED

    @property
    def fee_total(self) -> Decimal:
        return sum((amount for _, amount in self.fees), ZERO)

    @property
    def updated_at(self) -> datetime:
        """When the broker last touched the row."""
        return self.changed_at or self.posted_at

    @property
    def moves_shares(self) -> bool:
        """False for an exchange: what it moves is money, though it has a pair for a symbol and a quantity."""
        return bool(self.symbol and self.quantity) and self.nature is not Nature.EXCHANGE

    def cash_moves(self) -> Iterator[tuple[str, Decimal]]:
        """(currency, amount) for each currency the event moves."""
        yield self.currency, self.cash
        yield from self.other_cash


@dataclass(slots=True)
class Holding:
    """What is held of one instrument: tax lots, first in first out. A short holding has negative lots."""

    lots: deque[tuple[Decimal, Decimal, Decimal]] = field(default_factory=deque)  # quantity, unit cost, unit price

    @property
    def quantity(self) -> Decimal:
        return sum((lot[0] for lot in self.lots), ZERO)

    @property
    def average_cost(self) -> Decimal:
        """Per unit, fees inside. Raises ZeroDivisionError when nothing is held."""
        return sum((quantity * cost for quantity, cost, _ in self.lots), ZERO) / self.quantity

    @property
    def average_price(self) -> Decimal:
        """Per unit, without fees. Raises ZeroDivisionError when nothing is held."""
        return sum((quantity * price for quantity, _, price in self.lots), ZERO) / self.quantity

    def move(self, quantity: Decimal, cost: Decimal, price: Decimal) -> None:
        """Close lots of the other side first; what is left opens a new lot."""
        while quantity and self.lots and (self.lots[0][0] > 0) != (quantity > 0):
            held, lot_cost, lot_price = self.lots[0]
            closed = min(abs(held), abs(quantity))
            step = closed if held > 0 else -closed
            quantity += step
            if held == step:
                self.lots.popleft()
            else:
                self.lots[0] = (held - step, lot_cost, lot_price)
        if quantity:
            self.lots.append((quantity, cost, price))

    def split(self, added: Decimal) -> None:
        """Spread `added` shares over the lots; the last one takes what rounding leaves, so the sum stays exact."""
        whole = self.quantity + added
        ratio = whole / self.quantity
        self.lots = deque((quantity * ratio, cost / ratio, price / ratio) for quantity, cost, price in self.lots)
        quantity, cost, price = self.lots[-1]
        self.lots[-1] = (quantity + whole - self.quantity, cost, price)


class Account:
    """A book of events in the order they were posted. Holdings are worked out when asked and kept until it changes."""

    def __init__(
        self, *, number: str, broker: str, name: str, margin: bool, plain_names: bool = False, currency: str = "USD"
    ) -> None:
        self.number = number
        self.broker = broker
        self.name = name
        self.margin = margin
        self.currency = currency  # the base, in which totals are told
        self.plain_names = plain_names  # dividends name the security in words instead of its symbol
        self.is_closed = False
        self.renumbered = 0  # how often its broker has changed the id by which the API knows it
        self.events: list[Event] = []

    def enter(self, event: Event) -> None:
        insort(self.events, event, key=_posting_order)
        self._forget()

    def fill(self, events: Iterable[Event]) -> None:
        """Enter many at once."""
        self.events = sorted([*self.events, *events], key=_posting_order)
        self._forget()

    def change(self, event: Event, **changes: Any) -> Event:
        """Put a corrected event in the place of `event`; it keeps its id."""
        corrected = replace(event, **changes)
        self.remove(event)
        self.enter(corrected)
        return corrected

    def remove(self, event: Event) -> None:
        self.events.remove(event)
        self._forget()

    def find(self, event_id: int) -> Event | None:
        return next((event for event in self.events if event.id == event_id), None)

    def posted_between(self, first: datetime, last: datetime) -> Iterator[Event]:
        """Newest first; both ends included."""
        low = bisect_left(self.events, first, key=lambda event: event.posted_at)
        high = bisect_right(self.events, last, key=lambda event: event.posted_at)
        return (self.events[index] for index in range(high - 1, low - 1, -1))

    def until(self, day: date) -> "Account":
        """The book as it was at the end of `day`, by the days on which things happened."""
        past = Account(
            number=self.number, broker=self.broker, name=self.name, margin=self.margin,
            plain_names=self.plain_names, currency=self.currency,
        )  # fmt: skip
        past.fill(event for event in self.events if event.traded_on <= day)
        return past

    @property
    def cash(self) -> Decimal:
        """In the base currency; for an account of one currency that is all there is."""
        return self.balances.get(self.currency, ZERO)

    @cached_property
    def balances(self) -> dict[str, Decimal]:
        """Cash by currency, for each that ever moved, zero included."""
        balances: defaultdict[str, Decimal] = defaultdict(Decimal)
        for event in self._effective():
            for currency, amount in event.cash_moves():
                balances[currency] += amount
        return dict(sorted(balances.items()))

    @cached_property
    def holdings(self) -> dict[str, Holding]:
        """By symbol, only what is held. Lots follow the order in which things happened, not were posted."""
        holdings: dict[str, Holding] = {}
        for event in sorted(self._effective(), key=lambda event: (event.at, event.id)):
            if event.symbol is None or not event.moves_shares:
                continue
            holding = holdings.setdefault(event.symbol, Holding())
            if event.nature is Nature.SPLIT and holding.lots:
                holding.split(event.quantity)
            else:
                holding.move(event.quantity, *_unit_costs(event))
        return {symbol: holding for symbol, holding in sorted(holdings.items()) if holding.quantity}

    def _effective(self) -> Iterator[Event]:
        return (event for event in self.events if event.status is Status.POSTED)

    def _forget(self) -> None:
        self.__dict__.pop("balances", None)
        self.__dict__.pop("holdings", None)


def _posting_order(event: Event) -> tuple[datetime, int]:
    return event.posted_at, event.id


def _unit_costs(event: Event) -> tuple[Decimal, Decimal]:
    """Unit cost with fees and without, in the unit the price is quoted in."""
    if event.basis is not None:
        return event.basis, event.basis
    price = event.price or ZERO
    without_fees = event.cash + event.fee_total
    return (price * event.cash / without_fees if without_fees else price), price
