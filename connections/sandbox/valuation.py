"""What a book is worth on a day, by the market's closes. Shared by the brokers' views and the truth."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from connections.sandbox.book import ZERO, Account, Holding
from connections.sandbox.market import CENT, AssetClass, Instrument, Market
from connections.sandbox.trading_days import last_open


@dataclass(frozen=True, slots=True)
class Valued:
    """A holding at a day's close and at the close before."""

    instrument: Instrument
    holding: Holding
    price: Decimal
    previous_price: Decimal

    @property
    def quantity(self) -> Decimal:
        return self.holding.quantity

    @property
    def value(self) -> Decimal:
        """Signed, in the instrument's currency, multiplier inside, to the cent."""
        return (self.quantity * self.price * self.instrument.multiplier).quantize(CENT)

    @property
    def previous_value(self) -> Decimal:
        return (self.quantity * self.previous_price * self.instrument.multiplier).quantize(CENT)

    @property
    def open_gain(self) -> Decimal:
        cost = (self.quantity * self.holding.average_price * self.instrument.multiplier).quantize(CENT)
        return self.value - cost


def valued(account: Account, market: Market, on: date) -> list[Valued]:
    before = last_open(last_open(on) - timedelta(days=1))
    return [
        Valued(market.known(symbol), holding, market.price(symbol, on), market.price(symbol, before))
        for symbol, holding in account.holdings.items()
    ]


def worth(account: Account, positions: list[Valued], market: Market, on: date) -> Decimal:
    """Cash and positions together in the account's own currency, each currency's part to the cent."""
    parts = defaultdict(Decimal, account.balances)
    for position in positions:
        parts[position.instrument.currency] += position.value
    rates = {currency: market.rate(currency, account.currency, on) for currency in parts}
    return sum(((amount * rates[currency]).quantize(CENT) for currency, amount in parts.items()), ZERO)


def total(positions: list[Valued], *classes: AssetClass, short: bool | None = None, previous: bool = False) -> Decimal:
    """Sum of values, of these asset classes (none named: all), of short or long ones (None: both)."""
    return sum(
        (
            position.previous_value if previous else position.value
            for position in positions
            if (not classes or position.instrument.asset_class in classes)
            and (short is None or (position.quantity < 0) == short)
        ),
        ZERO,
    )
