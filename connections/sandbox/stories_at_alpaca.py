"""What happened to James at Alpaca: a small account run by scripts, with shares, a coin and options."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import ROUND_UP, Decimal
from functools import partial

from connections.sandbox.book import ZERO, Nature
from connections.sandbox.clock import at_new_york
from connections.sandbox.diary import Diary
from connections.sandbox.market import CENT, INSTRUMENTS, SPLITS, option_symbol
from connections.sandbox.stories import Act, Month, tell
from connections.sandbox.stories_at_robinhood import invest, no_commission

JAMES_JOINS = 26  # months since the market opened: January 2024
COIN_STEP = Decimal("0.000000001")
COIN_FEE = Decimal("0.0025")  # of what is received: a purchase is paid for in the coin, a sale in dollars
WITHHELD = {"TSM": Decimal("0.21")}
PAYING = ("KO", "TSM", "NVDA", "F")
STANDING = 4  # months for which a call is held


def james(diaries: list[Diary], until: date) -> None:
    (pen,) = diaries
    pen.tariff = no_commission

    def plan(month: Month) -> Iterator[Act]:
        if month.number < JAMES_JOINS:
            return
        yield from _splits(month, pen)
        yield from _money(month, pen)
        yield from _shares(month, pen)
        yield from _options(month, pen)
        yield from _coin(month, pen)
        yield from _income(month, pen)

    tell(diaries, until, plan)


def _splits(month: Month, pen: Diary) -> Iterator[Act]:
    for split in SPLITS:
        if split.on.replace(day=1) == month.first:
            yield split.on, partial(pen.split, split.symbol, split.ratio, split.on)


def _money(month: Month, pen: Diary) -> Iterator[Act]:
    days, since = month.days, month.number - JAMES_JOINS
    if since == 0:
        yield days[0], partial(pen.move_cash, Nature.ACH_IN, days[0], 9_000)
        yield days[6], partial(pen.take_shares, Nature.SHARES_IN, "KO", 12, days[6])
    if since == 1:
        yield days[3], partial(pen.move_cash, Nature.JOURNAL_IN, days[3], 25, note="New account reward")
    if since % 4 == 2:
        yield days[1], partial(pen.move_cash, Nature.ACH_IN, days[1], 350 + Decimal(pen.rng.randrange(9_000)) / 100)
    if since % 7 == 6:
        yield days[12], partial(pen.move_cash, Nature.ACH_OUT, days[12], -pen.rng.randrange(80, 200))


def _shares(month: Month, pen: Diary) -> Iterator[Act]:
    days, since = month.days, month.number - JAMES_JOINS
    if since == 0:
        yield days[1], partial(pen.trade, "F", 100, days[1])
        yield days[2], partial(pen.trade, "NVDA", 3, days[2])
        yield days[3], partial(pen.trade, "TSM", 5, days[3])
    if since % 2:
        yield days[4], partial(invest, pen, pen.rng.choice(("KO", "TSM", "NVDA")), Decimal(60), days[4])
    if since % 5 == 4:  # one order, two equal executions
        yield days[7], partial(pen.trade, "KO", 1, days[7], fills=2)
    if since % 6 == 5:
        yield days[9], partial(_sell, pen, "KO", 2, days[9])


def _sell(pen: Diary, symbol: str, quantity: int, day: date) -> None:
    if pen.held[symbol] >= quantity:
        pen.trade(symbol, -quantity, day)


def _options(month: Month, pen: Diary) -> Iterator[Act]:
    """Covered calls that expire, a put that is assigned, calls held for months and exercised when they are worth it."""
    days, since = month.days, month.number - JAMES_JOINS
    opening, expiry = days[4], month.expiry
    if since % 3 == 1:
        call = pen.option("F", opening, "CALL", distance="0.08")
        yield opening, partial(_write_covered, pen, call, opening)
        yield expiry, partial(pen.expire, call, expiry)
    if since == 8:
        put = pen.option("F", opening, "PUT", distance="0.06")
        yield opening, partial(pen.trade, put, -1, opening)
        yield expiry, partial(pen.deliver, put, expiry)
    for opened, is_opening in ((month, True), (month.shifted(-STANDING), False)):
        if (opened.number - JAMES_JOINS) % 3 or opened.number <= JAMES_JOINS:
            continue
        day, ends_on = opened.days[5], opened.shifted(STANDING).expiry
        strike = (pen.market.price("F", day) * Decimal("1.04")).quantize(Decimal(1))
        standing = option_symbol("F", ends_on, "CALL", strike)
        if is_opening:
            yield day, partial(pen.trade, standing, 1, day)
        else:
            yield ends_on, partial(_end, pen, standing, ends_on)


def _write_covered(pen: Diary, call: str, day: date) -> None:
    if pen.held["F"] >= 100:
        pen.trade(call, -1, day)


def _end(pen: Diary, call: str, day: date) -> None:
    """Exercised when it is worth something and the shares can be paid for; sold the day it ends when they cannot."""
    terms = pen.market.known(call).terms
    if not pen.market.price(call, day):
        pen.expire(call, day)
    elif pen.cash > terms.strike * 100:
        pen.deliver(call, day)
    else:
        pen.trade(call, -1, day)


def _coin(month: Month, pen: Diary) -> Iterator[Act]:
    days, since = month.days, month.number - JAMES_JOINS
    if since % 2 == 0:
        yield days[8], partial(trade_coin, pen, "BTC", Decimal(40), days[8])
    if since % 9 == 7:
        yield days[11], partial(trade_coin, pen, "BTC", Decimal(-55), days[11])


def trade_coin(pen: Diary, symbol: str, dollars: Decimal, day: date) -> None:
    """Buy (positive) or sell for about `dollars`, if the cash or the coins are there.

    The fee is taken from what is received and told at the end of the day: of a purchase in the coin itself.
    """
    price = pen.market.price(symbol, day)
    quantity = (dollars / price).quantize(COIN_STEP)
    if dollars >= pen.cash or pen.held[symbol] + quantity < 0:
        return
    at, gross = at_new_york(day, 21, 15, pen.rng.randrange(60)), (quantity * price).quantize(CENT)
    nature = Nature.ORDER_BUY if quantity > 0 else Nature.ORDER_SELL
    order = 8_000_000_000_000 + pen.rng.randrange(10**12)
    pen.write(nature, day, at, symbol=symbol, quantity=quantity, price=price, cash=-gross, order=order)
    later = at + timedelta(hours=2)
    if quantity > 0:
        fee = (quantity * COIN_FEE).quantize(COIN_STEP, ROUND_UP)
        pen.write(Nature.SERVICE_FEE, day, later, symbol=symbol, quantity=-fee, price=price, note="coin")
    else:
        fee = (abs(gross) * COIN_FEE).quantize(CENT, ROUND_UP)
        pen.write(Nature.SERVICE_FEE, day, later, symbol=symbol, cash=-fee, note="coin")


def _income(month: Month, pen: Diary) -> Iterator[Act]:
    days = month.days
    for place, symbol in enumerate(PAYING):
        if month.first.month in INSTRUMENTS[symbol].pays_in:
            day = days[4 + place]
            yield day, partial(pen.pay_dividend, symbol, day, withheld=WITHHELD.get(symbol, ZERO))
    yield days[10], partial(pen.pay_interest, days[10])
    if month.first.month == 9:
        yield days[12], partial(_receipt_fee, pen, days[12])


def _receipt_fee(pen: Diary, day: date) -> None:
    if fee := (pen.held["TSM"] * Decimal("0.02")).quantize(CENT):
        pen.write(Nature.RECEIPT_FEE, day, symbol="TSM", cash=-fee)
