"""Pure arithmetic: exact, and unknown where a part is unknown."""

from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from aggregation.options import Option, parse
from aggregation.valuation import average_cost, cost_of, fraction, known_sum

amounts = st.decimals(-10_000, 10_000, places=4)
lots = st.lists(st.tuples(st.decimals("0.01", 1000, places=2), amounts), min_size=1, max_size=8)


@given(st.lists(amounts, min_size=1))
def test_a_sum_of_known_parts_is_their_sum_and_with_an_unknown_part_unknown(parts):
    assert known_sum(parts) == sum(parts)
    assert known_sum([*parts, None]) is None
    assert known_sum([None, *parts]) is None


def test_a_sum_of_nothing_is_unknown():
    assert known_sum([]) is None


@given(lots)
def test_the_average_cost_lies_between_the_lots_and_gives_back_their_cost(parts):
    average = average_cost(parts)
    held = sum(quantity for quantity, _ in parts)
    assert average is not None
    assert abs(average * held - sum(quantity * cost for quantity, cost in parts)) < Decimal("1e-15")
    assert min(cost for _, cost in parts) - Decimal("1e-20") <= average
    assert average <= max(cost for _, cost in parts) + Decimal("1e-20")


@given(lots)
def test_short_lots_average_like_long_ones(parts):
    assert average_cost((-quantity, cost) for quantity, cost in parts) == average_cost(parts)


def test_an_average_needs_every_cost_one_direction_and_something_held():
    assert average_cost([(Decimal(1), Decimal(5)), (Decimal(1), None)]) is None
    assert average_cost([(Decimal(1), Decimal(5)), (Decimal(-2), Decimal(7))]) is None
    assert average_cost([]) is None
    assert average_cost([(Decimal(1), Decimal(5)), (Decimal(0), None)]) == 5


def test_a_cost_counts_the_multiplier_and_the_sign():
    assert cost_of(Decimal(-2), Decimal("5.5"), Decimal(100)) == -1100
    assert cost_of(Decimal(2), None, Decimal(1)) is None


def test_a_share_of_nothing_or_of_a_debt_is_not_defined():
    assert fraction(Decimal(1), Decimal(4)) == Decimal("0.25")
    assert fraction(Decimal(1), Decimal(0)) is fraction(Decimal(1), Decimal(-5)) is fraction(None, Decimal(1)) is None


def test_option_symbols_are_read():
    assert parse("AAPL  270115C00240000") == Option("AAPL", date(2027, 1, 15), True, Decimal(240))
    assert str(parse("SPXW  261218P05912500")) == "SPXW 18 Dec 2026 5912.5 Put"


def test_what_is_no_option_symbol_is_none():
    assert [parse(text) for text in ("AAPL", "AAPL  271315C00240000", "AAPL  270115X00240000", "")] == [None] * 4
