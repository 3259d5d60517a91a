"""Time-weighted return and internal rate of return of a line, with what they were worked out from. Pure.

What comes in counts from the beginning of its day, what goes out until the end of it, so that a first deposit has
something to be compared with. What goes from one of the accounts to another on a day does neither. An account joins
with the day after its first: what it held by then is no gain.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

import pyxirr

from aggregation.history.lines import AccountLine
from brokerhub.kernel.garbage import search_paused

ZERO, ONE = Decimal(0), Decimal(1)
ONE_DAY = timedelta(days=1)
YEAR = 365


class Undefined(StrEnum):
    """Why there is no return. Unavailable is an answer; 0 % would be a wrong one."""

    NO_DAYS = "no_days"
    NOTHING_INVESTED = "nothing_invested"
    NOT_POSITIVE = "not_positive"
    FLOW_UNKNOWN = "flow_unknown"
    END_UNKNOWN = "end_unknown"
    NO_RATE = "no_rate"

    @property
    def sentence(self) -> str:
        return SENTENCES[self]


SENTENCES = {
    Undefined.NO_DAYS: "There are not two known days in this time to compare.",
    Undefined.NOTHING_INVESTED: "Nothing was invested in this time.",
    Undefined.NOT_POSITIVE: "The value fell to zero or below on a day, by debts or by deposits that are not known. "
    "A return on that has no meaning.",
    Undefined.FLOW_UNKNOWN: "Something was transferred in or out whose value on its day is not known.",
    Undefined.END_UNKNOWN: "The value at the beginning or at the end of this time is not known.",
    Undefined.NO_RATE: "No yearly rate brings these payments and the value together.",
}


@dataclass(frozen=True, slots=True)
class Step:
    """A part of the time: growth = (end + out) / (start + paid_in), day by day, multiplied."""

    first: date  # the day whose evening it starts from
    last: date
    start: Decimal
    paid_in: Decimal
    taken_out: Decimal
    joined: Decimal  # held by accounts whose history begins within it
    end: Decimal
    growth: Decimal

    @property
    def gain(self) -> Decimal:
        return self.end - self.start - self.paid_in + self.taken_out - self.joined

    @property
    def rate(self) -> Decimal:
        return self.growth - 1


@dataclass(frozen=True, slots=True)
class Payment:
    """As the investor sees it: negative is paid in, the value at the end comes back."""

    on: date
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """Fractions: 0.05 is 5 %. `time_weighted` is for the whole time, `yearly` per year once the time is a year or more;
    `money_weighted` (XIRR) is per year, `money_weighted_period` for the whole time."""

    first: date | None
    last: date | None
    start: Decimal | None = None
    end: Decimal | None = None
    paid_in: Decimal | None = None
    taken_out: Decimal | None = None
    joined: Decimal | None = None
    gain: Decimal | None = None
    time_weighted: Decimal | None = None
    time_weighted_yearly: Decimal | None = None
    time_weighted_undefined: Undefined | None = None
    money_weighted: Decimal | None = None
    money_weighted_period: Decimal | None = None
    money_weighted_undefined: Undefined | None = None
    bridged: int = 0  # days on which an account was not known
    steps: tuple[Step, ...] = ()  # by month
    payments: tuple[Payment, ...] = ()
    curve: Mapping[date, Decimal] = field(default_factory=dict)  # growth of 1 since the first day


class _Move(NamedTuple):
    """From one evening to the next, over the accounts that were there at both. Ten years of a dozen accounts have tens
    of thousands, and a dataclass would take twice as long to make."""

    on: date
    start: Decimal
    paid_in: Decimal
    taken_out: Decimal
    joined: Decimal
    end: Decimal
    growth: Decimal | None
    bridged: bool
    flow_unknown: bool


def _growth(base: Decimal, after: Decimal) -> Decimal | None:
    """None where there is nothing above zero to compare with. Nothing that stays nothing has not changed."""
    if base > 0:
        return after / base if after >= 0 else None
    return ONE if base == 0 == after else None


@search_paused()
def performance(lines: Sequence[AccountLine], first: date | None = None, last: date | None = None) -> Performance:
    """Of the time from the evening of `first` to the evening of `last`, cut to the days the accounts have."""
    if not lines:
        return _undefined(None, None, Undefined.NO_DAYS)
    begin = max(first or date.min, min(each.first for each in lines))
    end = min(last or date.max, max(each.last for each in lines))
    if begin >= end:
        return _undefined(begin, end, Undefined.NO_DAYS)
    worth, start_known = _at(lines, begin)
    start = sum(worth.values(), ZERO)
    moves = list(_moves(lines, worth, begin, end))
    _, end_known = _at(lines, end)
    return _worked_out(begin, end, start, moves, is_known=start_known and end_known)


def _undefined(first: date | None, last: date | None, why: Undefined) -> Performance:
    return Performance(first=first, last=last, time_weighted_undefined=why, money_weighted_undefined=why)


def _at(lines: Sequence[AccountLine], on: date) -> tuple[dict[int, Decimal], bool]:
    """What each account is worth on the evening of `on`, by id, and whether all that are there are known."""
    days = {each.pk: day for each in lines if (day := each.on(on)) is not None}
    known = {account: day.value for account, day in days.items() if day.value is not None}
    return known, len(known) == len(days)


def _moves(lines: Sequence[AccountLine], worth: dict[int, Decimal], begin: date, end: date) -> Iterator[_Move]:
    """Day after day; `worth`, what each account was worth last and what was paid into it since, goes along."""
    on, start = begin, sum(worth.values(), ZERO)
    while on < end:
        on += ONE_DAY
        move = _move(lines, worth, start, on)
        yield move
        start = move.end


def _move(lines: Sequence[AccountLine], worth: dict[int, Decimal], start: Decimal, on: date) -> _Move:
    net = joined = ZERO  # what goes from one of the accounts to another is neither paid in nor taken out
    bridged = flow_unknown = False
    for each in lines:
        day = each.on(on)
        if day is None:
            continue
        value, flow = day.value, day.flow
        if each.pk not in worth:  # its history begins here, or it was not known so far
            if value is not None:
                worth[each.pk] = value
                joined += value
            continue
        if flow is None:
            flow, flow_unknown = ZERO, True
        else:
            net += flow
        if value is None:
            value, bridged = worth[each.pk] + flow, True
        worth[each.pk] = value
    end = sum(worth.values(), ZERO)
    paid_in, taken_out = max(net, ZERO), max(-net, ZERO)
    growth = _growth(start + paid_in, end - joined + taken_out)
    return _Move(on, start, paid_in, taken_out, joined, end, growth, bridged, flow_unknown)


def _worked_out(begin: date, end: date, start: Decimal, moves: Sequence[_Move], *, is_known: bool) -> Performance:
    curve, undefined = _curve(begin, moves)
    worth = moves[-1].end
    invested = start or any(move.paid_in or move.joined or move.end for move in moves)
    if not invested:
        undefined = Undefined.NOTHING_INVESTED
    elif not is_known:
        undefined = undefined or Undefined.END_UNKNOWN
    growth = None if undefined else curve[end]
    rate, no_rate, payments = _money_weighted(begin, start, moves, is_known=is_known, invested=bool(invested))
    days = (end - begin).days
    paid_in, taken_out = sum((m.paid_in for m in moves), ZERO), sum((m.taken_out for m in moves), ZERO)
    joined = sum((m.joined for m in moves), ZERO)
    return Performance(
        first=begin,
        last=end,
        start=start if is_known else None,
        end=worth if is_known else None,
        paid_in=paid_in,
        taken_out=taken_out,
        joined=joined,
        gain=worth - start - paid_in + taken_out - joined if is_known else None,
        time_weighted=None if growth is None else growth - 1,
        time_weighted_yearly=_power(growth, YEAR, days) if growth is not None and days >= YEAR else None,
        time_weighted_undefined=undefined,
        money_weighted=rate,
        money_weighted_period=None if rate is None else _power(1 + rate, days, YEAR),
        money_weighted_undefined=no_rate,
        bridged=sum(move.bridged for move in moves),
        steps=tuple(_steps(begin, moves)),
        payments=payments,
        curve=curve,
    )


def _curve(begin: date, moves: Sequence[_Move]) -> tuple[dict[date, Decimal], Undefined | None]:
    """Growth of 1 day by day, as far as it has a meaning."""
    growth, curve = ONE, {begin: ONE}
    for move in moves:
        if move.flow_unknown:
            return curve, Undefined.FLOW_UNKNOWN
        step = move.growth
        if step is None or (step == 0 and move is not moves[-1]):
            return curve, Undefined.NOT_POSITIVE
        growth *= step
        curve[move.on] = growth
    return curve, None


def _power(growth: Decimal, above: int, below: int) -> Decimal:
    """`growth` to the power of above/below, less 1. Nothing left is -100 %."""
    return growth ** (Decimal(above) / below) - 1 if growth > 0 else -ONE


def _steps(begin: date, moves: Sequence[_Move]) -> Iterator[Step]:
    """The moves by month; a month in which the return has no meaning ends them."""
    months: dict[tuple[int, int], list[_Move]] = {}
    for move in moves:
        months.setdefault((move.on.year, move.on.month), []).append(move)
    first = begin
    for of_month in months.values():
        growth = ONE
        for move in of_month:
            step = move.growth
            if step is None or move.flow_unknown:
                return
            growth *= step
        yield Step(
            first=first,
            last=of_month[-1].on,
            start=of_month[0].start,
            paid_in=sum((move.paid_in for move in of_month), ZERO),
            taken_out=sum((move.taken_out for move in of_month), ZERO),
            joined=sum((move.joined for move in of_month), ZERO),
            end=of_month[-1].end,
            growth=growth,
        )
        first = of_month[-1].on


def _money_weighted(
    begin: date, start: Decimal, moves: Sequence[_Move], *, is_known: bool, invested: bool
) -> tuple[Decimal | None, Undefined | None, tuple[Payment, ...]]:
    """The yearly rate at which all payments and the final value come to nothing, days over 365 as exponents (XIRR)."""
    if not invested:
        return None, Undefined.NOTHING_INVESTED, ()
    payments = [Payment(begin, -start)] if start else []
    for move in moves:
        if amount := move.taken_out - move.paid_in - move.joined:
            payments.append(Payment(move.on, amount))
    payments.append(Payment(moves[-1].on, moves[-1].end))
    if any(move.flow_unknown for move in moves):
        return None, Undefined.FLOW_UNKNOWN, tuple(payments)
    if not is_known:
        return None, Undefined.END_UNKNOWN, tuple(payments)
    try:
        rate = pyxirr.xirr([payment.on for payment in payments], [float(payment.amount) for payment in payments])
    except pyxirr.InvalidPaymentsError:
        return None, Undefined.NO_RATE, tuple(payments)
    if rate is None or not math.isfinite(rate) or rate <= -1:
        return None, Undefined.NO_RATE, tuple(payments)
    return Decimal(repr(rate)), None, tuple(payments)
