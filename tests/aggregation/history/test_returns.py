"""Returns against a calculation of the test's own, and the complaints of other products' users replayed."""

from datetime import date, timedelta
from decimal import Decimal, getcontext
from random import Random

import pytest

from aggregation.history.lines import AccountDay, AccountLine, line
from aggregation.history.returns import Performance, Undefined, performance
from aggregation.models import PointBasis
from connections.models import Account

FIRST = date(2024, 1, 1)
AGREED = Decimal("1e-8")
Days = list[tuple[str | None, str]]  # value and flow of each day


def a_line(days: Days, *, first: date = FIRST, name: int = 1) -> AccountLine:
    found = {
        first + timedelta(days=number): AccountDay(
            None if value is None else Decimal(value),
            Decimal(flow),
            PointBasis.UNKNOWN if value is None else PointBasis.OBSERVED,
        )
        for number, (value, flow) in enumerate(days)
    }
    return AccountLine(Account(pk=name), found)


def a_random_line(chance: Random, *, name: int, first: date, length: int) -> AccountLine:
    """Moves by up to 4 % a day, with a payment in or out every fortnight or so."""
    value, days = Decimal(0), {}
    for number in range(length):
        flow = Decimal(0)
        if number == 1 or (number and chance.random() < 0.07):
            flow = Decimal(chance.randint(-300, 900)) if number > 1 else Decimal(5000)
        value = ((value + flow) * Decimal(str(1 + chance.uniform(-0.04, 0.042)))).quantize(Decimal("0.01"))
        days[first + timedelta(days=number)] = AccountDay(value, flow, PointBasis.REBUILT)
    return AccountLine(Account(pk=name), days)


def chained_by_hand(lines: list[AccountLine]) -> Decimal:
    """The definition, written down once more: every day's money compared with what it was in the morning, where what
    is paid into one account and taken out of another on a day is only moved."""
    begin, end = min(min(each.days) for each in lines), max(max(each.days) for each in lines)
    growth, day = Decimal(1), begin
    while day < end:
        before, day = day, day + timedelta(days=1)
        there = [each for each in lines if before in each.days and day in each.days]
        net = sum((each.days[day].flow or Decimal(0) for each in there), Decimal(0))
        morning = sum((each.days[before].value or Decimal(0) for each in there), Decimal(0)) + max(net, Decimal(0))
        evening = sum((each.days[day].value or Decimal(0) for each in there), Decimal(0)) - min(net, Decimal(0))
        growth *= evening / morning if morning else 1
    return growth - 1


def test_money_that_moves_between_one_s_own_accounts_changes_no_return() -> None:
    stays = performance([a_line([("100000", "0"), ("110000", "0")])])
    moved = performance([
        a_line([("100000", "0"), ("0", "-110000")]),
        a_line([("0", "0"), ("110000", "110000")], name=2),
    ])  # fmt: skip
    assert moved.time_weighted == stays.time_weighted == Decimal("0.1")
    assert (moved.paid_in, moved.taken_out, moved.gain) == (0, 0, 10000)
    assert moved.money_weighted == stays.money_weighted


def rate_by_bisection(payments: list[tuple[date, Decimal]]) -> Decimal:
    """The rate at which the payments' present values come to nothing, by halving an interval in 50 digits."""
    getcontext().prec = 50
    first = payments[0][0]

    def present(rate: Decimal) -> Decimal:
        return sum((amount / (1 + rate) ** (Decimal((on - first).days) / 365) for on, amount in payments), Decimal(0))

    low, high = Decimal("-0.9999"), Decimal(100)
    for _ in range(120):
        middle = (low + high) / 2
        low, high = (middle, high) if present(middle) > 0 else (low, middle)
    getcontext().prec = 28
    return (low + high) / 2


@pytest.mark.parametrize("seed", range(6))
def test_both_returns_agree_with_a_calculation_by_hand(seed: int):
    chance = Random(seed)
    lines = [
        a_random_line(chance, name=name, first=FIRST + timedelta(days=name * 17), length=chance.randint(300, 500))
        for name in range(3)
    ]
    last = min(each.last for each in lines)
    for each in lines:
        each.days = {day: known for day, known in each.days.items() if day <= last}
        each.last = last
    found = performance(lines)
    assert found.time_weighted is not None
    assert abs(found.time_weighted - chained_by_hand(lines)) < AGREED
    paid: dict[date, Decimal] = {}
    for each in lines:
        for day, known in each.days.items():
            paid[day] = paid.get(day, Decimal(0)) - (known.flow or Decimal(0))
        paid[each.last] += each.days[each.last].value or Decimal(0)
    assert found.money_weighted is not None
    assert (
        abs(found.money_weighted - rate_by_bisection(sorted((on, amount) for on, amount in paid.items() if amount)))
        < AGREED
    )


def test_a_known_case_worked_out_on_paper():
    """100 grow to 110; 50 come in the next morning and all grows to 176: 10 % and 10 % are 21 %."""
    found = performance([a_line([("100", "0"), ("110", "0"), ("176", "50")])])
    assert found.time_weighted == Decimal("0.21")
    assert (found.start, found.end, found.paid_in, found.gain) == (100, 176, 50, 26)


def test_what_goes_out_counts_until_the_evening():
    assert performance([a_line([("100", "0"), ("60", "-50")])]).time_weighted == Decimal("0.1")


def test_adding_an_account_never_moves_the_return():
    """ledgr#86: +2430 % on the day a second account was connected."""
    one = a_line([("100", "0"), ("101", "0"), ("102", "0"), ("103", "0")])
    other = a_line([("2500", "0"), ("2500", "0")], first=FIRST + timedelta(days=2), name=2)
    alone, both = performance([one]), performance([one, other])
    assert both.curve[FIRST + timedelta(days=2)] == alone.curve[FIRST + timedelta(days=2)]
    assert both.curve[FIRST + timedelta(days=3)] == alone.curve[FIRST + timedelta(days=2)] * 2603 / 2602
    assert both.gain == 3
    assert both.joined == 2500


def test_a_day_nobody_knows_never_moves_the_return():
    """ledgr#68 and #56: a missing snapshot was 0, and a day the server was off left its mark for ever."""
    steady = a_line([("100", "0"), ("100", "0"), ("100", "0"), ("110", "0")], name=2)
    whole = performance([a_line([("100", "0"), ("104", "0"), ("108", "0"), ("112", "0")]), steady])
    gap = performance([a_line([("100", "0"), (None, "0"), (None, "0"), ("112", "0")]), steady])
    assert gap.time_weighted == whole.time_weighted
    assert gap.bridged == 2
    assert gap.gain == whole.gain == 22


def test_a_deposit_on_a_day_nobody_knows_is_no_gain():
    found = performance([a_line([("100", "0"), (None, "50"), ("150", "0")])])
    assert (found.time_weighted, found.gain) == (0, 0)


def test_the_sum_is_unknown_while_a_part_is():
    points = line([a_line([("100", "0"), (None, "0")]), a_line([("5", "0"), ("6", "0")], name=2)])
    assert [(point.value, point.basis) for point in points] == [
        (105, PointBasis.OBSERVED),
        (None, PointBasis.UNKNOWN),
    ]
    assert points[1].unknown == (1,)


def test_an_account_last_told_yesterday_is_carried_over_today_and_says_so():
    points = line([a_line([("100", "0")]), a_line([("5", "0"), ("6", "0")], name=2)])
    assert (points[1].value, points[1].basis) == (106, PointBasis.CARRIED)


def test_after_a_long_weekend_it_is_not_known_any_more():
    points = line([a_line([("100", "0")]), a_line([("5", "0")] * 6, name=2)])
    assert [point.value for point in points] == [105, 105, 105, 105, 105, None]


def test_contributions_are_what_was_brought_in():
    points = line([a_line([("100", "0"), ("110", "0"), ("170", "50"), ("150", "-20")])])
    assert [point.contributed for point in points] == [100, 100, 150, 130]


def undefined(found: Performance) -> tuple[Undefined | None, Undefined | None]:
    assert found.time_weighted is None or found.time_weighted_undefined is None
    return found.time_weighted_undefined, found.money_weighted_undefined


def test_undefined_is_a_reason_and_never_zero():
    assert undefined(performance([])) == (Undefined.NO_DAYS, Undefined.NO_DAYS)
    assert undefined(performance([a_line([("100", "0")])])) == (Undefined.NO_DAYS, Undefined.NO_DAYS)
    nothing = performance([a_line([("0", "0"), ("0", "0")])])
    assert undefined(nothing) == (Undefined.NOTHING_INVESTED, Undefined.NOTHING_INVESTED)
    unknown = performance([a_line([("100", "0"), (None, "0")])])
    assert undefined(unknown) == (Undefined.END_UNKNOWN, Undefined.END_UNKNOWN)


def test_purchases_without_deposits_have_no_return():
    """wealthfolio#1124: shares bought with money that never came in."""
    found = performance([a_line([("0", "0"), ("-5", "0"), ("20", "0")])])
    assert found.time_weighted_undefined is Undefined.NOT_POSITIVE


def test_a_transfer_of_unknown_value_has_no_return():
    one = a_line([("100", "0"), ("100", "0"), ("120", "0")])
    one.days[FIRST + timedelta(days=1)] = AccountDay(Decimal(100), None, PointBasis.OBSERVED)
    assert undefined(performance([one])) == (Undefined.FLOW_UNKNOWN, Undefined.FLOW_UNKNOWN)


def test_the_steps_by_month_multiply_to_the_whole():
    found = performance([a_random_line(Random(1), name=1, first=FIRST, length=200)])
    growth = Decimal(1)
    for step in found.steps:
        growth *= step.growth
    assert found.time_weighted is not None
    assert abs(growth - 1 - found.time_weighted) < AGREED
    assert sum((step.gain for step in found.steps), Decimal(0)) == found.gain
    assert len(found.steps) == 7
