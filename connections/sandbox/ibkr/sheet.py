"""What every row of a statement starts from: the account, the market, the window, and how values are written."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from connections.sandbox.book import ZERO, Account, Event, Holding, Nature, Status
from connections.sandbox.clock import NEW_YORK
from connections.sandbox.ibkr.contracts import RIGHTS, conid, described, exchange_of, isin, kind, sec_type, ticker
from connections.sandbox.market import CENT, Instrument, Market

Row = dict[str, str]
DAILY_ENTRY = "202000"  # cash is entered at 20:20


@dataclass(frozen=True, slots=True)
class Result:
    """What a movement of shares cost and brought."""

    cost: Decimal  # of what it opened (positive for bought) or closed (negative)
    gain: Decimal
    closes: bool


@dataclass(frozen=True)
class Sheet:
    """One account's statement from `first` to `last`, both included."""

    account: Account
    market: Market
    first: date
    last: date

    @cached_property
    def events(self) -> list[Event]:
        """In the order of their ids, which is not that of time."""
        inside = [event for event in self.account.events if self.first <= event.traded_on <= self.last]
        return sorted(inside, key=lambda event: event.id)

    @cached_property
    def at_start(self) -> Account:
        return self.account.until(date.fromordinal(self.first.toordinal() - 1))

    @cached_property
    def at_end(self) -> Account:
        return self.account.until(self.last)

    @cached_property
    def results(self) -> dict[int, Result]:
        """By event, first in first out, over the whole history."""
        return dict(_results(self.account, self.market))

    def rate(self, currency: str, on: date) -> Decimal:
        return self.market.rate(currency, self.account.currency, on)

    def common(self, currency: str, on: date) -> Row:
        return {
            "accountId": self.account.number,
            "acctAlias": "",
            "model": "",
            "currency": currency,
            "fxRateToBase": text(self.rate(currency, on)),
        }

    def instrument_of(self, event: Event) -> Instrument | None:
        return self.market.known(event.symbol) if event.symbol and event.nature is not Nature.EXCHANGE else None


def _results(account: Account, market: Market) -> Iterator[tuple[int, Result]]:
    holdings: dict[str, Holding] = {}
    moving = [event for event in account.events if event.moves_shares and event.status is Status.POSTED]
    for event in sorted(moving, key=lambda event: (event.at, event.id)):
        assert event.symbol
        holding, factor = holdings.setdefault(event.symbol, Holding()), market.known(event.symbol).multiplier
        if event.nature is Nature.SPLIT:
            holding.split(event.quantity)
            continue
        before, closes = _cost(holding.lots), holding.quantity * event.quantity < 0
        price = event.price or event.basis or ZERO
        size = event.quantity * price
        cost = price if event.basis is not None or not size else price * event.cash / (event.cash + event.fee_total)
        holding.move(event.quantity, cost, price)
        change = ((_cost(holding.lots) - before) * factor).quantize(CENT)
        yield event.id, Result(change, (event.cash + change).quantize(CENT) if closes else ZERO, closes)


def _cost(lots: deque[tuple[Decimal, Decimal, Decimal]]) -> Decimal:
    return sum((quantity * cost for quantity, cost, _ in lots), ZERO)


def contract(instrument: Instrument | None) -> Row:
    """The attributes that name an instrument; all empty for none."""
    if instrument is None:
        names = (
            "assetCategory", "subCategory", "symbol", "description", "conid", "cusip", "isin", "figi",
            "listingExchange", "underlyingConid", "underlyingSymbol", "multiplier", "strike", "expiry", "putCall",
        )  # fmt: skip
        return dict.fromkeys(names, "")
    terms = instrument.option
    return {
        "assetCategory": sec_type(instrument),
        "subCategory": RIGHTS[terms.right] if terms else kind(instrument),
        "symbol": ticker(instrument),
        "description": described(instrument),
        "conid": str(conid(instrument.symbol)),
        "cusip": "" if terms else instrument.cusip,
        "isin": isin(instrument),
        "figi": "",
        "listingExchange": exchange_of(instrument),
        "underlyingConid": str(conid(terms.underlying)) if terms else "",
        "underlyingSymbol": terms.underlying if terms else "",
        "multiplier": text(instrument.multiplier),
        "strike": text(terms.strike) if terms else "",
        "expiry": day(terms.expires_on) if terms else "",
        "putCall": RIGHTS[terms.right] if terms else "",
    }


def text(number: Any) -> str:
    """No zeros at the end, no exponent: `1000`, `-0.5`."""
    plain = f"{Decimal(number) + 0:f}"  # turns -0 into 0
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def day(value: date) -> str:
    return f"{value:%Y%m%d}"


def instant(value: datetime) -> str:
    """Eastern time, without saying so."""
    return f"{value.astimezone(NEW_YORK):%Y%m%d;%H%M%S}"
