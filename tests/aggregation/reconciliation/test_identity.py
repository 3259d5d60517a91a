"""Start + flows + income + gains - costs = end, held against a portfolio that counts each of them on its own way."""

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import pytest

from aggregation.reconciliation.identity import (
    Movement,
    NoPrice,
    Opening,
    Prices,
    Rates,
    Statement,
    Unit,
    flows,
    statements,
    together,
)
from connections.brokers.records import TransactionKind as Kind

FIRST = date(2026, 3, 1)
CURRENCIES = ("USD", "EUR", "GBP", "CHF")
ZERO = Decimal(0)
SHORT, WHOLE = 300, 5000


class Simulated:
    """A month of a seeded portfolio: shares long and short, options, splits, transfers, four currencies.

    Gains are counted as they arise, day by day as prices and rates move, and by how much a trade's price is off the
    day's close. The identity works them out from the two ends; the two must be the same.
    """

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.days = self.dice.randrange(5, 32)
        self.last = FIRST + timedelta(days=self.days - 1)
        self.units = {
            number: Unit(
                id=number,
                title=f"T{number}",
                currency=self.dice.choice(CURRENCIES),
                multiplier=Decimal(100 if number % 4 == 0 else 1),
            )
            for number in range(1, self.dice.randrange(2, 8))
        }
        self.price = {number: self.amount(5, 300) for number in self.units}
        self.rate = {"USD": Decimal(1), **{currency: self.amount(80, 140) / 100 for currency in CURRENCIES[1:]}}
        self.cash: dict[str, Decimal] = defaultdict(Decimal)
        self.held: dict[int, Decimal] = defaultdict(Decimal)
        self.cash |= {currency: self.amount(-500, 9000) for currency in CURRENCIES}
        self.held |= {number: Decimal(self.dice.randrange(-50, 200)) for number in self.units}
        self.opening = Opening(cash=dict(self.cash), units=dict(self.held))
        self.rows: list[Movement] = []
        self.prices: dict[tuple[int, date], Decimal] = {}
        self.rates: dict[tuple[str, date], Decimal] = {}
        self.tally: dict[str, Statement] = {currency: Statement(currency=currency) for currency in CURRENCIES}
        self.whole = Statement(currency="USD")
        self.start = self.worth()
        self.keep(FIRST - timedelta(days=1))
        for number in range(self.days):
            self.live(FIRST + timedelta(days=number))

    def amount(self, low: int, high: int) -> Decimal:
        return Decimal(self.dice.randrange(low * 100, high * 100)) / 100

    def worth(self) -> dict[str, Decimal]:
        worth = {currency: self.cash[currency] for currency in CURRENCIES}
        for number, units in self.held.items():
            unit = self.units[number]
            worth[unit.currency] += units * self.price[number] * unit.multiplier
        return worth

    def keep(self, on: date) -> None:
        self.prices |= {(number, on): price for number, price in self.price.items()}
        self.rates |= {(currency, on): rate for currency, rate in self.rate.items()}

    def live(self, on: date) -> None:
        """The market moves first, then everything happens at the day's closing prices and rates."""
        before = self.worth()
        for currency in CURRENCIES[1:]:
            moved = self.rate[currency] * Decimal(self.dice.randrange(985, 1016)) / 1000
            self.whole.fx_gain += before[currency] * (moved - self.rate[currency])
            self.rate[currency] = moved
        for number, unit in self.units.items():
            if self.dice.random() < 0.03:
                self.split(number, on)
            moved = round(self.price[number] * Decimal(self.dice.randrange(950, 1051)) / 1000, 4)
            self.gain(unit, self.held[number] * (moved - self.price[number]) * unit.multiplier)
            self.price[number] = moved
        self.keep(on)
        for _ in range(self.dice.randrange(0, 4)):
            self.dice.choice((self.trade, self.trade, self.income, self.flow, self.in_kind, self.cost, self.exchange))(
                on
            )

    def gain(self, unit: Unit, amount: Decimal) -> None:
        self.tally[unit.currency].price_gain += amount

    def book(self, kind: Kind, on: date, currency: str, net: Decimal, **fields: object) -> None:
        self.rows.append(Movement(on=on, kind=kind, currency=currency, net=net, **fields))  # type: ignore[arg-type]
        self.cash[currency] += net

    def note(self, name: str, currency: str, amount: Decimal) -> None:
        tally = self.tally[currency]
        setattr(tally, name, getattr(tally, name) + amount)
        if name != "exchanged":
            setattr(self.whole, name, getattr(self.whole, name) + amount * self.rate[currency])

    def costs(self, currency: str) -> tuple[Decimal, Decimal]:
        fees = self.amount(0, 6) if self.dice.random() < 0.5 else ZERO
        taxes = self.amount(0, 9) if self.dice.random() < 0.2 else ZERO
        self.note("fees", currency, fees)
        self.note("taxes", currency, taxes)
        return fees, taxes

    def split(self, number: int, on: date) -> None:
        ratio = self.dice.choice((2, 4, 10))
        extra = self.held[number] * (ratio - 1)
        self.rows.append(Movement(on=on, kind=Kind.SPLIT, currency="USD", net=ZERO, unit=number, quantity=extra))
        self.held[number] += extra
        self.price[number] /= ratio

    def trade(self, on: date) -> None:
        """Off the closing price, which is a gain or a loss at once."""
        number = self.dice.choice(list(self.units))
        unit, quantity = self.units[number], Decimal(self.dice.randrange(-80, 80))
        paid = round(self.price[number] * Decimal(self.dice.randrange(990, 1011)) / 1000, 4)
        fees, taxes = self.costs(unit.currency)
        gross = -quantity * paid * unit.multiplier
        kind = Kind.BUY if quantity >= 0 else Kind.SELL
        fields = {"fees": fees, "taxes": taxes, "unit": number, "quantity": quantity}
        self.book(kind, on, unit.currency, gross - fees - taxes, **fields)
        self.held[number] += quantity
        self.gain(unit, quantity * (self.price[number] - paid) * unit.multiplier)

    def income(self, on: date) -> None:
        currency = self.dice.choice(CURRENCIES)
        fees, taxes = self.costs(currency)
        earned = self.amount(-5, 90)
        unit = self.dice.choice([None, *self.units])
        kind = Kind.DIVIDEND if unit else Kind.INTEREST
        self.book(kind, on, currency, earned - fees - taxes, fees=fees, taxes=taxes, unit=unit)
        self.note("income", currency, earned)

    def flow(self, on: date) -> None:
        currency, moved = self.dice.choice(CURRENCIES), self.amount(-900, 1500)
        self.book(Kind.DEPOSIT if moved > 0 else Kind.WITHDRAWAL, on, currency, moved)
        self.note("external", currency, moved)

    def in_kind(self, on: date) -> None:
        number = self.dice.choice(list(self.units))
        unit, quantity = self.units[number], Decimal(self.dice.randrange(-30, 60))
        kind = Kind.TRANSFER_IN if quantity > 0 else Kind.TRANSFER_OUT
        self.book(kind, on, unit.currency, ZERO, unit=number, quantity=quantity)
        self.held[number] += quantity
        self.note("external", unit.currency, quantity * self.price[number] * unit.multiplier)

    def cost(self, on: date) -> None:
        currency, paid = self.dice.choice(CURRENCIES), self.amount(0, 20)
        kind, name = self.dice.choice(((Kind.FEE, "fees"), (Kind.TAX, "taxes")))
        self.book(kind, on, currency, -paid)
        self.note(name, currency, paid)

    def exchange(self, on: date) -> None:
        """At a rate a little worse than the day's: the difference is a loss on exchange."""
        sold, bought = self.dice.sample(CURRENCIES, 2)
        out = self.amount(1, 900)
        came = round(out * self.rate[sold] / self.rate[bought] * Decimal("0.998"), 2)
        self.book(Kind.FX, on, sold, -out)
        self.book(Kind.FX, on, bought, came)
        self.note("exchanged", sold, -out)
        self.note("exchanged", bought, came)
        self.whole.fx_gain += came * self.rate[bought] - out * self.rate[sold]


def simulated(count: int) -> Iterator[tuple[int, Simulated]]:
    return ((seed, Simulated(seed)) for seed in range(count))


def check(seed: int, portfolio: Simulated) -> None:
    prices = Prices(portfolio.prices)
    found = statements(
        opening=portfolio.opening, rows=portfolio.rows, units=portfolio.units, prices=prices, first=FIRST,
        last=portfolio.last,
    )  # fmt: skip
    worth = portfolio.worth()
    for currency, statement in found.items():
        tally = portfolio.tally[currency]
        tally.start, tally.end = portfolio.start[currency], worth[currency]
        assert statement == tally, f"seed {seed}, {currency}"
        assert statement.apart == 0, f"seed {seed}, {currency}"
        cents = statement.rounded()
        assert cents.apart == 0
        assert abs(cents.price_gain - statement.price_gain) < Decimal("0.06")
    in_usd = Rates("USD", portfolio.rates)
    moved = flows(portfolio.rows, portfolio.units, prices, first=FIRST, last=portfolio.last)
    whole = together(found, moved, in_usd, first=FIRST, last=portfolio.last)
    tiny = Decimal("1e-12")
    for name in ("external", "income", "fees", "taxes"):
        assert abs(getattr(whole, name) - getattr(portfolio.whole, name)) < tiny, f"seed {seed}, {name}"
    assert abs(whole.apart) < tiny, f"seed {seed}"
    end = sum(worth[currency] * portfolio.rate[currency] for currency in CURRENCIES)
    assert abs(whole.end - end) < tiny


def test_the_identity_holds_for_generated_portfolios_and_each_part_is_what_it_is():
    for seed, portfolio in simulated(SHORT):
        check(seed, portfolio)


@pytest.mark.endurance
def test_the_identity_holds_for_five_thousand_generated_portfolios():
    for seed, portfolio in simulated(WHOLE):
        check(seed, portfolio)


def test_a_currencys_own_gain_and_the_exchange_are_told_apart():
    """100 EUR held while the euro goes from 1.10 to 1.20, and 50 bought at 1.15 on the way: 10 + 2.50."""
    day, last = date(2026, 3, 10), date(2026, 3, 31)
    rows = [
        Movement(on=day, kind=Kind.FX, currency="USD", net=Decimal("-57.50")),
        Movement(on=day, kind=Kind.FX, currency="EUR", net=Decimal(50)),
    ]
    opening = Opening(cash={"EUR": Decimal(100), "USD": Decimal(200)})
    found = statements(opening=opening, rows=rows, units={}, prices=Prices({}), first=FIRST, last=last)
    known = {("EUR", FIRST - timedelta(1)): "1.10", ("EUR", day): "1.15", ("EUR", last): "1.20"}
    rates = Rates("USD", {key: Decimal(rate) for key, rate in known.items()})
    moved = flows(rows, {}, Prices({}), first=FIRST, last=last)
    whole = together(found, moved, rates, first=FIRST, last=last)
    assert (whole.start, whole.fx_gain, whole.end, whole.apart) == (310, Decimal("12.50"), Decimal("322.50"), 0)
    assert (found["EUR"].exchanged, found["USD"].exchanged) == (50, Decimal("-57.50"))


def test_an_unknown_price_is_no_zero():
    unit = Unit(id=1, title="AAPL", currency="USD")
    opening = Opening(units={1: Decimal(3)})
    with pytest.raises(NoPrice, match="AAPL has no known price on 28 Feb 2026"):
        statements(opening=opening, rows=[], units={1: unit}, prices=Prices({}), first=FIRST, last=FIRST)


def test_what_is_not_valued_is_left_out_whole():
    rows = [
        Movement(on=FIRST, kind=Kind.BUY, currency="USD", net=Decimal(-101), fees=Decimal(1), unit=1,
                 quantity=Decimal(2)),
        Movement(on=FIRST, kind=Kind.DIVIDEND, currency="USD", net=Decimal(4), unit=1),
    ]  # fmt: skip
    opening = Opening(cash={"USD": Decimal(200)}, units={1: Decimal(3)})
    found = statements(opening=opening, rows=rows, units={}, prices=Prices({}), first=FIRST, last=FIRST)["USD"]
    assert (found.start, found.unvalued, found.income, found.fees, found.end) == (200, -100, 4, 1, 103)
    assert found.apart == 0


def test_rounded_parts_still_add_up():
    statement = Statement(currency="USD", start=Decimal("0.005"), price_gain=Decimal("0.015"), end=Decimal("0.020"))
    assert statement.apart == 0
    cents = statement.rounded()
    assert (cents.start, cents.price_gain, cents.end, cents.apart) == (0, Decimal("0.02"), Decimal("0.02"), 0)
