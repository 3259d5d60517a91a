"""What happened to each person, month by month since the market's opening day.

Dates are absolute and chance starts anew each month: told a year later, a story only grows longer.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from random import Random
from typing import TypeAlias

from connections.sandbox.book import ZERO, Event, Nature, Status
from connections.sandbox.clock import at_new_york
from connections.sandbox.diary import Diary, activity_ids, journal, journal_shares, order_fees
from connections.sandbox.market import CENT, INSTRUMENTS, OPENING_DAY, SPLITS, Market, option_symbol
from connections.sandbox.trading_days import ONE_DAY, last_open, next_open, open_days, settlement, third_friday

Act: TypeAlias = tuple[date, Callable[[], object]]

BOND = "91282CHT1"
WATCHED = ("AAPL", "MSFT", "NVDA", "KO", "PFE", "JPM", "TSM", "VTI")
TRANSFERRED, TRANSFERRED_ON = ("BRK.B", Decimal(5)), date(2024, 9, 17)  # to the same person's next broker
TRANSFER_ID = 89_000_000_017  # outside the row of the others, which therefore keep theirs
SAVED = ("VTI", "SCHD", "BND", "MSFT")
REINVESTED = {"VTI", "AAPL", "MSFT", "SWVXX", "SCHD", "BND"}
WITHHELD = {"KO": Decimal("0.15"), "TSM": Decimal("0.21")}


@dataclass(frozen=True, slots=True)
class Month:
    number: int  # 0 is the month in which the market opened
    first: date

    @property
    def days(self) -> list[date]:
        """Open days; the market's first month begins with its opening day."""
        after = (self.first.replace(day=28) + timedelta(days=4)).replace(day=1)
        return list(open_days(max(self.first, OPENING_DAY), after - ONE_DAY))

    def shifted(self, by: int) -> "Month":
        count = self.first.year * 12 + self.first.month - 1 + by
        return Month(self.number + by, date(count // 12, count % 12 + 1, 1))

    @property
    def expiry(self) -> date:
        return third_friday(self.first.year, self.first.month)


def months(until: date) -> Iterator[Month]:
    first, number = OPENING_DAY.replace(day=1), 0
    while first <= until:
        yield Month(number, first)
        first = (first + timedelta(days=32)).replace(day=1)
        number += 1


def tell(diaries: list[Diary], until: date, plan: Callable[[Month], Iterator[Act]]) -> None:
    """Plan each month whole and act it out up to `until`."""
    for month in months(until):
        for diary in diaries:
            diary.new_month(month.first.year, month.first.month)
        for day, act in sorted(plan(month), key=lambda planned: planned[0]):
            if day <= until:
                act()


def maria(diaries: list[Diary], until: date) -> None:
    """A margin account that trades and an IRA that saves, with everything a statement can show."""
    individual, rollover = diaries

    def plan(month: Month) -> Iterator[Act]:
        yield from _splits(month, diaries)
        yield from _money_of_individual(month, individual)
        yield from _orders(month, individual)
        yield from _options(month, individual)
        yield from _standing_options(month, individual)
        yield from _income(month, individual)
        yield from _once_in_individual(month, individual)
        yield from _saving(month, rollover)
        yield from _income(month, rollover)
        yield from _between(month, individual, rollover)
        yield from _leaves_for_interactive(month, individual)

    tell(diaries, until, plan)


def james(diaries: list[Diary], until: date) -> None:
    """One cash account, two funds, little happens."""
    (account,) = diaries

    def plan(month: Month) -> Iterator[Act]:
        days = month.days
        if month.number == 0:
            yield days[0], partial(account.move_cash, Nature.CHECK_IN, days[0], 4_000)
            yield days[1], partial(account.trade, "BND", 20, days[1])
        if month.number % 3 == 1:
            yield days[1], partial(account.move_cash, Nature.ELECTRONIC_IN, days[1], 600)
            yield days[3], partial(account.spend, "SCHD", 480, days[3])
        if month.number % 12 == 10:
            yield days[6], partial(account.trade, "SCHD", -3, days[6])
            yield days[-2], partial(account.move_cash, Nature.WIRE_OUT, days[-2], -150)
        for symbol, every in (("BND", 2), ("SCHD", 3)):
            if month.first.month % every == 0:
                yield days[7], partial(account.pay_dividend, symbol, days[7], reinvest=symbol == "BND")
        if month.number % 3 == 2:
            yield days[10], partial(account.pay_interest, days[10])

    tell(diaries, until, plan)


def _splits(month: Month, diaries: list[Diary]) -> Iterator[Act]:
    for split in SPLITS:
        if split.on.replace(day=1) == month.first:
            for diary in diaries:
                yield split.on, partial(diary.split, split.symbol, split.ratio, split.on)


def _money_of_individual(month: Month, diary: Diary) -> Iterator[Act]:
    days, pen = month.days, diary
    if month.number == 0:
        yield days[0], partial(pen.move_cash, Nature.WIRE_IN, days[0], 65_000)
        return
    salary = 2_600 + Decimal(pen.rng.randrange(60_000)) / 100
    yield days[1], partial(pen.move_cash, Nature.ACH_IN, days[1], salary)
    if month.number % 3 == 0:
        yield days[13], partial(pen.move_cash, Nature.ACH_OUT, days[13], -pen.rng.randrange(800, 1_500))
    if month.number % 12 == 7:
        yield days[4], partial(pen.move_cash, Nature.CHECK_IN, days[4], Decimal("312.48"))
        yield days[9], partial(pen.move_cash, Nature.SERVICE_FEE, days[9], -25)
    if month.number % 9 == 5:
        yield days[6], partial(pen.write, Nature.MEMORANDUM, days[6], memo=Decimal("1250.50"))
        yield days[6], partial(pen.write, Nature.MEMORANDUM, days[6], note="ACCOUNT AGREEMENT UPDATED")


def _orders(month: Month, diary: Diary) -> Iterator[Act]:
    days, pen = month.days, diary
    for _ in range(pen.rng.randint(5, 8)):
        day = pen.rng.choice(days[2:])
        yield day, partial(pen.spend, pen.rng.choice(WATCHED), pen.rng.randrange(380, 1_200), day)
    for _ in range(pen.rng.randint(1, 2)):
        day = pen.rng.choice(days[2:])
        yield day, partial(_trim, pen, pen.rng.choice(WATCHED), day)
    if month.number % 6 == 2:  # one order, two executions equal in everything but their ids
        yield days[8], partial(pen.trade, "KO", 10, days[8], fills=2)
    if month.number % 12 == 4:
        yield days[11], partial(pen.spend, "BRK.B", 1_100, days[11])


def _trim(diary: Diary, symbol: str, day: date) -> None:
    """Sell about a fifth, where enough is held."""
    if (held := diary.held[symbol]) >= 10:
        diary.trade(symbol, -int(held / 5), day)


def _options(month: Month, diary: Diary) -> Iterator[Act]:
    """One cycle a month; the strike is chosen in hindsight, so that every ending comes up twice a year."""
    opening, closing, expiry, pen = month.days[1], month.expiry - ONE_DAY, month.expiry, diary
    if month.number == 0:
        return
    match month.number % 6:
        case 0:  # sold put, expires worthless
            put = pen.option("KO", opening, "PUT", distance="-0.08")
            yield opening, partial(pen.trade, put, -2, opening)
            yield expiry, partial(pen.expire, put, expiry)
        case 1:  # sold put, assigned: buys the shares at the strike
            put = pen.option("PFE", opening, "PUT", distance="0.04")
            yield opening, partial(pen.trade, put, -1, opening)
            yield expiry, partial(pen.deliver, put, expiry)
        case 2:  # two bought calls: one sold again, one left to expire
            call = pen.option("AAPL", opening, "CALL", distance="0.06")
            sold_on = next_open(closing - timedelta(days=7))
            yield opening, partial(pen.trade, call, 2, opening)
            yield sold_on, partial(pen.trade, call, -1, sold_on)
            yield expiry, partial(pen.expire, call, expiry)
        case 3:  # covered call, assigned: sells the shares at the strike
            call = pen.option("PFE", opening, "CALL", distance="-0.03")
            yield opening, partial(_write_covered, pen, call, opening)
            yield expiry, partial(pen.deliver, call, expiry)
        case 4:  # bought call, exercised
            call = pen.option("KO", opening, "CALL", distance="-0.05")
            yield opening, partial(pen.trade, call, 1, opening)
            yield expiry, partial(pen.deliver, call, expiry)
        case 5:  # covered call, bought back
            call = pen.option("KO", opening, "CALL", distance="0.03")
            bought_back = next_open(closing - timedelta(days=4))
            yield opening, partial(_write_covered, pen, call, opening)
            yield bought_back, partial(_buy_back, pen, call, bought_back)


def _standing_options(month: Month, diary: Diary) -> Iterator[Act]:
    """Options that run for months, so that some are open on any day: sold puts each quarter, a call each half year."""
    for underlying, right, contracts, every, ahead, distance in (
        ("KO", "PUT", -2, 3, 4, Decimal("0.90")),
        ("PFE", "CALL", 1, 6, 8, Decimal("1.05")),
    ):
        for opened, is_opening in ((month, True), (month.shifted(-ahead), False)):
            if opened.number < 1 or opened.number % every:
                continue
            opening, expiry = opened.days[2], opened.shifted(ahead).expiry
            strike = (diary.market.price(underlying, opening) * distance).quantize(Decimal(1))
            symbol = option_symbol(underlying, expiry, right, strike)
            if is_opening:
                yield opening, partial(diary.trade, symbol, contracts, opening)
            else:
                yield expiry, partial(diary.settle, symbol, expiry)


def _write_covered(diary: Diary, call: str, day: date) -> None:
    """Sell one call, if the shares to deliver are there."""
    if diary.held[diary.market.known(call).terms.underlying] >= 100:
        diary.trade(call, -1, day)


def _buy_back(diary: Diary, symbol: str, day: date) -> None:
    if diary.held[symbol]:
        diary.trade(symbol, -diary.held[symbol], day)


def _income(month: Month, diary: Diary) -> Iterator[Act]:
    days, pen = month.days, diary
    for place, (symbol, instrument) in enumerate(INSTRUMENTS.items()):
        if month.first.month in instrument.pays_in and month.number:
            day = days[4 + place % 9]
            withheld = WITHHELD.get(symbol, ZERO) if pen.account.margin else ZERO
            yield day, partial(pen.pay_dividend, symbol, day, reinvest=symbol in REINVESTED, withheld=withheld)
        if instrument.is_receipt and month.first.month in (3, 9):
            yield days[12], partial(_receipt_fee, pen, symbol, days[12])
        if instrument.coupon and month.first.month in (2, 8):
            yield days[10], partial(pen.pay_coupon, symbol, days[10])
    if month.number:
        yield days[10], partial(pen.pay_interest, days[10])


def _receipt_fee(diary: Diary, symbol: str, day: date) -> None:
    if fee := (diary.held[symbol] * Decimal("0.02")).quantize(CENT):
        diary.write(Nature.RECEIPT_FEE, day, symbol=symbol, cash=-fee)


def _once_in_individual(month: Month, diary: Diary) -> Iterator[Act]:
    days, pen = month.days, diary
    match month.first.year, month.first.month:
        case 2021, 12:
            for symbol, quantity in (("NVDA", 6), ("AAPL", 50), ("MSFT", 25), ("KO", 120), ("JPM", 40), ("VTI", 45)):
                yield days[3], partial(pen.trade, symbol, quantity, days[3])
        case 2022, 2:
            yield days[2], partial(pen.trade, "SWVXX", 8_000, days[2])
        case 2022, 8:
            yield days[7], partial(pen.trade, "F", -100, days[7])  # sold short
        case 2022, 9:
            yield days[9], partial(pen.trade, "F", 100, days[9])  # and covered
        case 2023, 3:
            yield days[1], partial(_borrow, pen, days[1])
        case 2023, 5:
            yield days[5], partial(pen.move_cash, Nature.WIRE_IN, days[5], 12_000)
        case 2023, 9:
            yield days[4], partial(pen.trade, BOND, 10, days[4])
        case 2024, 5:
            yield days[6], partial(pen.trade, "SWVXX", -3_000, days[6])
        case 2025, 6:
            yield days[5], partial(_paid_by_mistake, pen, days[5])


def _borrow(diary: Diary, day: date) -> None:
    """Buy the index fund for about 9,000 dollars more than there is."""
    price = diary.market.price("VTI", day)
    diary.trade("VTI", int((diary.cash + 9_000) / price), day)


def _paid_by_mistake(diary: Diary, day: date) -> None:
    """A dividend the broker booked and then declared invalid: still listed, without effect."""
    diary.write(Nature.DIVIDEND, day, symbol="JPM", cash=Decimal("41.30"), status=Status.INVALID)


def _saving(month: Month, diary: Diary) -> Iterator[Act]:
    days, pen = month.days, diary
    if month.number == 0:
        for symbol, quantity in (("VTI", 150), ("BND", 80)):
            yield days[2], partial(pen.take_shares, Nature.SHARES_IN, symbol, quantity, days[2])
        yield days[3], partial(pen.move_cash, Nature.WIRE_IN, days[3], 18_000)
        return
    for _ in range(pen.rng.randint(1, 3)):
        day = pen.rng.choice(days[3:])
        yield day, partial(pen.spend, pen.rng.choice(SAVED), pen.rng.randrange(250, 700), day)


def _between(month: Month, individual: Diary, rollover: Diary) -> Iterator[Act]:
    """Each January cash from the margin account to the IRA; once, shares the other way."""
    days = month.days
    if month.first.month == 1:
        yield days[4], partial(journal, individual, rollover, 6_500, days[3], days[4])
    if (month.first.year, month.first.month) == (2024, 12):
        yield days[5], partial(journal_shares, rollover, individual, "VTI", 5, days[5])


def _leaves_for_interactive(month: Month, diary: Diary) -> Iterator[Act]:
    """Shares that pay nothing and that chance never sells: gone, they change nothing that was told before."""
    if month.first == TRANSFERRED_ON.replace(day=1):
        yield TRANSFERRED_ON, partial(
            diary.write, Nature.SHARES_OUT, TRANSFERRED_ON, at_new_york(TRANSFERRED_ON, 6, 30), id=TRANSFER_ID,
            symbol=TRANSFERRED[0], quantity=-TRANSFERRED[1], note="Interactive Brokers",
        )  # fmt: skip


def generated(market: Market, *, seed: int, count: int, until: date) -> list[Event]:
    """One wire in, then `count - 1` orders spread evenly over the years, a sale wherever enough is held."""
    rng, ids = Random(f"{market.seed}:generated:{seed}"), activity_ids(f"generated:{seed}")  # nosec B311  # a seeded story, nothing secret
    span = (until - OPENING_DAY).days
    held = dict.fromkeys(WATCHED, 0)
    opened_at = at_new_york(OPENING_DAY, 9, 0)
    events = [
        Event(id=next(ids), nature=Nature.WIRE_IN, at=opened_at, posted_at=opened_at, traded_on=OPENING_DAY,
              settled_on=OPENING_DAY, cash=Decimal(1_000 * count))
    ]  # fmt: skip
    for number in range(1, count):
        passed = span * number / count
        day = last_open(OPENING_DAY + timedelta(days=int(passed)))
        symbol = rng.choice(WATCHED[:2] + WATCHED[3:])  # no share that splits
        quantity = -rng.randint(1, 5) if held[symbol] > 20 else rng.randint(1, 9)
        held[symbol] += quantity
        price = market.price(symbol, day) + Decimal(rng.randint(-99, 99)) / 100
        at = at_new_york(day, 9, 31) + timedelta(seconds=int(passed % 1 * 23_000))
        fees = order_fees(INSTRUMENTS[symbol], Decimal(quantity), quantity * price)
        events.append(Event(
            id=next(ids), nature=Nature.ORDER_BUY if quantity > 0 else Nature.ORDER_SELL, at=at, posted_at=at,
            traded_on=day, settled_on=settlement(day), symbol=symbol, quantity=Decimal(quantity), price=price,
            fees=fees, cash=-quantity * price - sum((fee for _, fee in fees), ZERO), order=1_003_000_000_000 + number,
            closing=quantity < 0,
        ))  # fmt: skip
    return events
