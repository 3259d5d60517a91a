"""Writes an account's events while its story is told, in order, knowing at every step what is held and what is left."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import ROUND_UP, Decimal
from random import Random
from typing import Any

from connections.sandbox.book import ZERO, Account, Event, Nature, Status
from connections.sandbox.clock import at_new_york
from connections.sandbox.market import CENT, AssetClass, Instrument, Market, option_symbol
from connections.sandbox.trading_days import settlement, third_friday

SHARE = Decimal("0.0001")  # fractional shares are counted in ten-thousandths
OPENING_SECOND, TRADING_SECONDS = 9 * 3600 + 31 * 60, 6 * 3600 + 25 * 60
NEXT_DAY = {AssetClass.OPTION, AssetClass.BOND, AssetClass.MONEY_FUND}  # settled T+1 before 2024 too
COMMISSION_PER_CONTRACT = Decimal("0.65")
OPTION_REGULATORY_PER_CONTRACT = Decimal("0.0129")
SEC_RATE = Decimal("0.0000278")  # of the proceeds of a sale
TAF_PER_SHARE = Decimal("0.000166")
TAF_PER_CONTRACT = Decimal("0.00279")


def activity_ids(seed: str) -> Iterator[int]:
    """Rising ids with gaps, as a busy broker hands them out; the same for the same seed."""
    rng = Random(f"{seed}:ids")  # nosec B311  # a seeded story, nothing secret
    number = 90_000_000_000 + rng.randrange(9_000_000) * 1_000
    while True:
        number += rng.randint(3, 977)
        yield number


class Diary:
    """One account's pen. Amounts in the currency of what they are paid for; quantities as the market counts them."""

    def __init__(self, account: Account, market: Market, ids: Iterator[int]) -> None:
        self.account = account
        self.market = market
        self.rng = Random()  # nosec B311  # a seeded story, nothing secret
        self.ids = ids
        self.tariff = order_fees  # what the broker takes for an order; a story at another broker sets its own
        self.purse: defaultdict[str, Decimal] = defaultdict(Decimal)
        self.held: defaultdict[str, Decimal] = defaultdict(Decimal)
        self.written: list[Event] = []

    @property
    def cash(self) -> Decimal:
        """What is left in the account's own currency."""
        return self.purse[self.account.currency]

    def new_month(self, year: int, month: int) -> None:
        """Chance starts anew each month, so that a longer story never changes its earlier part."""
        self.rng = Random(f"{self.market.seed}:{self.account.number}:{year}-{month}")  # nosec B311  # a seeded story, nothing secret

    def write(self, nature: Nature, day: date, at: datetime | None = None, **facts: Any) -> Event:
        """`facts` are further fields of the event. Without a time it happens before the market opens.

        Without a currency it is in that of the instrument, or in the account's own.
        """
        at = at or at_new_york(day, 8, 50, self.rng.randrange(60))
        facts = {"posted_at": at, "settled_on": day, **facts}
        if "id" not in facts:
            facts["id"] = next(self.ids)
        if "currency" not in facts:
            symbol = facts.get("symbol")
            facts["currency"] = self.market.known(symbol).currency if symbol else self.account.currency
        event = Event(nature=nature, at=at, traded_on=day, **facts)
        self.written.append(event)
        if event.status is Status.POSTED:
            for currency, amount in event.cash_moves():
                self.purse[currency] += amount
            if event.symbol and event.moves_shares:
                self.held[event.symbol] += event.quantity
        return event

    # Orders

    def trade(self, symbol: str, quantity: Decimal | int, day: date, *, fills: int = 1) -> None:
        """Buy (positive) or sell (negative) `quantity` in each of `fills` equal executions of one order."""
        instrument, size = self.market.known(symbol), Decimal(quantity)
        at = self._market_time(day)
        price = self._execution_price(instrument, day)
        order = 1_003_300_000_000 + self.rng.randrange(10**9)
        gross = (size * price * instrument.multiplier).quantize(CENT)
        fees = self.tariff(instrument, size, gross)
        nature = Nature.ORDER_BUY if size > 0 else Nature.ORDER_SELL
        closing = self.held[symbol] * size < 0
        for _ in range(fills):
            self.write(
                nature, day, at, symbol=symbol, quantity=size, price=price, fees=fees, order=order, closing=closing,
                cash=-gross - sum((amount for _, amount in fees), ZERO),
                settled_on=settlement(day, next_day=instrument.asset_class in NEXT_DAY),
            )  # fmt: skip

    def spend(self, symbol: str, budget: int, day: date) -> None:
        """Buy whole units for about `budget`, or nothing when the cash is not there."""
        instrument = self.market.known(symbol)
        price = self.market.price(symbol, day) * instrument.multiplier
        quantity = int(Decimal(budget) / price)
        if quantity and quantity * price * Decimal("1.02") < self.cash:
            self.trade(symbol, quantity, day)

    # Income and costs

    def pay_dividend(self, symbol: str, day: date, *, reinvest: bool = False, withheld: Decimal = ZERO) -> None:
        """Dividend on what is held that day; `withheld` is the share taken as tax (0.15 is 15 %)."""
        amount = (self.held[symbol] * self.market.dividend(symbol, day)).quantize(CENT)
        if amount <= 0:
            return
        paid = self.write(Nature.DIVIDEND, day, symbol=symbol, cash=amount)
        tax = (amount * withheld).quantize(CENT)
        if tax:
            self.write(Nature.WITHHOLDING, day, paid.at + timedelta(seconds=2), symbol=symbol, cash=-tax)
        if reinvest:
            self._reinvest(symbol, amount - tax, day, paid.at + timedelta(minutes=self.rng.randint(2, 9)))

    def _reinvest(self, symbol: str, amount: Decimal, day: date, at: datetime) -> None:
        price = self.market.price(symbol, day)
        quantity = (amount / price).quantize(SHARE)
        if quantity:
            self.write(
                Nature.REINVESTMENT, day, at, symbol=symbol, quantity=quantity, price=price, cash=-amount,
                settled_on=settlement(day),
            )  # fmt: skip

    def pay_interest(self, day: date) -> None:
        """Bank interest on the cash at hand, or margin interest on what is owed."""
        since = day - timedelta(days=30)
        if self.cash < 0:
            amount = (self.cash * Decimal("0.115") / 12).quantize(CENT)
            self.write(Nature.MARGIN_INTEREST, day, cash=amount, note=f"{since:%m/%d}THRU{day:%m/%d}")
        elif amount := (self.cash * Decimal("0.0045") / 12).quantize(CENT):
            self.write(Nature.BANK_INTEREST, day, cash=amount, note=f"{since:%m%d%y}-{day:%m%d%y}")

    def pay_coupon(self, symbol: str, day: date) -> None:
        """Half a year's coupon on the face value held (one unit is 1,000 dollars of face)."""
        amount = (self.held[symbol] * 10 * self.market.known(symbol).coupon / 2).quantize(CENT)
        if amount > 0:
            self.write(Nature.BOND_INTEREST, day, cash=amount, note=self.market.known(symbol).name)

    def move_cash(self, nature: Nature, day: date, amount: Decimal | int, **facts: Any) -> None:
        """`amount` signed: positive comes in."""
        self.write(nature, day, cash=Decimal(amount), **facts)

    def take_shares(self, nature: Nature, symbol: str, quantity: Decimal | int, day: date, note: str = "") -> None:
        """Shares that move without money; positive comes in."""
        basis = self.market.price(symbol, day)
        self.write(nature, day, symbol=symbol, quantity=Decimal(quantity), basis=basis, note=note)

    def split(self, symbol: str, ratio: Decimal, day: date) -> None:
        if added := self.held[symbol] * (ratio - 1):
            self.write(Nature.SPLIT, day, at_new_york(day, 5, 12), symbol=symbol, quantity=added, note=f"{ratio} FOR 1")

    # Options

    def option(self, underlying: str, day: date, right: str, *, distance: str) -> str:
        """Symbol of this month's option whose strike lies `distance` above the price it will expire at (0.05: 5 %)."""
        expires_on = third_friday(day.year, day.month)
        strike = self.market.price(underlying, expires_on) * (1 + Decimal(distance))
        return option_symbol(underlying, expires_on, right, max(strike.quantize(Decimal(1)), Decimal(1)))

    def expire(self, symbol: str, day: date) -> None:
        if self.held[symbol]:
            self._close_option(Nature.EXPIRATION, symbol, day)

    def deliver(self, symbol: str, day: date) -> None:
        """Exercise what is held long or be assigned on what is short; the shares change hands at the strike."""
        contracts, option = self.held[symbol], self.market.known(symbol)
        terms = option.terms
        if not contracts:
            return
        self._close_option(Nature.EXERCISE if contracts > 0 else Nature.ASSIGNMENT, symbol, day)
        takes_shares = (contracts > 0) == (terms.right == "CALL")
        shares = abs(contracts) * option.multiplier * (1 if takes_shares else -1)
        self.write(
            Nature.DELIVERY_BUY if takes_shares else Nature.DELIVERY_SELL, day, _after_close(day),
            symbol=terms.underlying, quantity=shares, price=terms.strike, cash=-(shares * terms.strike),
            settled_on=settlement(day),
        )  # fmt: skip

    def settle(self, symbol: str, day: date) -> None:
        """What expiry does by itself: delivery in the money, nothing out of it."""
        in_the_money = self.market.price(symbol, day) > 0
        (self.deliver if in_the_money else self.expire)(symbol, day)

    def _close_option(self, nature: Nature, symbol: str, day: date) -> None:
        self.write(nature, day, _after_close(day), symbol=symbol, quantity=-self.held[symbol], price=ZERO)

    def _market_time(self, day: date) -> datetime:
        return at_new_york(day) + timedelta(seconds=OPENING_SECOND + self.rng.randrange(TRADING_SECONDS))

    def _execution_price(self, instrument: Instrument, day: date) -> Decimal:
        """Within half a percent of the close; a money fund is always worth one dollar."""
        close = self.market.price(instrument.symbol, day)
        if instrument.asset_class is AssetClass.MONEY_FUND:
            return close
        return max((close * (1 + Decimal(self.rng.randint(-50, 50)) / 10_000)).quantize(CENT), CENT)


def order_fees(instrument: Instrument, quantity: Decimal, gross: Decimal) -> tuple[tuple[str, Decimal], ...]:
    """What an order costs: contracts pay commission, sales pay the regulators. Zero lines are left in."""
    size, is_sale = abs(quantity), quantity < 0
    contracts = size if instrument.asset_class is AssetClass.OPTION else ZERO
    has_taf = is_sale and instrument.asset_class not in (AssetClass.BOND, AssetClass.MONEY_FUND)
    taf = TAF_PER_CONTRACT if contracts else TAF_PER_SHARE
    return (
        ("COMMISSION", contracts * COMMISSION_PER_CONTRACT),
        ("SEC_FEE", _up(abs(gross) * SEC_RATE) if has_taf else ZERO),
        ("OPT_REG_FEE", _up(contracts * OPTION_REGULATORY_PER_CONTRACT)),
        ("TAF_FEE", _up(size * taf) if has_taf else ZERO),
    )


def journal(source: Diary, target: Diary, amount: int, dated: date, entered: date) -> None:
    """Cash from one own account to another; the broker enters such rows later than it dates them."""
    at, posted_at = at_new_york(dated, 8, 50), at_new_york(entered, 6, 5)
    source.write(Nature.JOURNAL_OUT, dated, at, cash=Decimal(-amount), posted_at=posted_at, note=target.account.number)
    target.write(Nature.JOURNAL_IN, dated, at, cash=Decimal(amount), posted_at=posted_at, note=source.account.number)


def journal_shares(source: Diary, target: Diary, symbol: str, quantity: int, day: date) -> None:
    source.take_shares(Nature.SHARES_JOURNAL_OUT, symbol, -quantity, day, target.account.number)
    target.take_shares(Nature.SHARES_JOURNAL_IN, symbol, quantity, day, source.account.number)


def _after_close(day: date) -> datetime:
    return at_new_york(day, 17, 30)


def _up(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_UP)
