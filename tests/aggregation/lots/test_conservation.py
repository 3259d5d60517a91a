"""Whatever happens, units and costs are neither made nor lost."""

from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st

from aggregation.lots import events as happened
from aggregation.lots.engine import match
from aggregation.lots.events import Place
from aggregation.lots.words import Method
from tests.aggregation.lots.story import HERE, Story, total

units = st.decimals("0.000001", "10000", places=6)
dollars = st.decimals("0.01", "100000", places=2)
trades = st.lists(st.tuples(st.booleans(), units, dollars), min_size=1, max_size=30)
methods = st.sampled_from([Method.FIFO, Method.LIFO, Method.HIGHEST])


def traded(orders):
    story = Story()
    for is_purchase, size, money in orders:
        story.trade(size if is_purchase else -size, -money if is_purchase else money)
    return story


@given(trades, methods)
def test_what_was_traded_is_open_or_closed(orders, method):
    story = traded(orders)
    books = match(story.events, method=method)
    assert total(lot.quantity for lot in books.open) == total(event.quantity for event in story.events)
    cost = total(lot.cost for lot in books.open)
    gained = total(closed.gain for closed in books.closed)
    assert gained - cost == total(event.cash for event in story.events)


@given(trades, methods)
def test_once_all_is_sold_the_method_makes_no_difference_to_the_sum(orders, method):
    story = traded(orders)
    left = total(event.quantity for event in story.events)
    if left:
        story.trade(-left, 1000 if left > 0 else -1000)
    books = match(story.events, method=method)
    assert books.open == []
    assert total(closed.gain for closed in books.closed) == total(event.cash for event in story.events)


@given(trades, st.integers(0, 30), st.sampled_from([D(2), D(3), D(10), D("1.5"), D("0.1")]), methods)
def test_a_split_changes_no_cost_and_no_gain(orders, place, ratio, method):
    """Sizes after the split are in new units, so the same orders at the same amounts end in the same gain."""
    plain, splitting = traded(orders), Story()
    held = D(0)
    factor = D(1)
    for number, event in enumerate(plain.events):
        if number == place and held:
            splitting.split(held * (ratio - 1))
            factor, held = ratio, held * ratio
        size = event.quantity * factor
        held += size
        splitting.trade(size, event.cash)
    one, other = match(plain.events, method=method), match(splitting.events, method=method)
    rounding = D("1e-8") * len(orders)
    assert abs(total(c.gain for c in one.closed) - total(c.gain for c in other.closed)) <= rounding
    assert total(lot.quantity for lot in other.open) == held


@given(trades, units, methods)
def test_what_leaves_one_account_with_its_cost_arrives_in_the_other(orders, size, method):
    story = traded(orders)
    there = Place(2, 1)
    key = story.tell(happened.Leave, quantity=size)
    story.tell(happened.Arrive, quantity=size, place=there, source=key)
    before, after = match(story.events[:-2], method=method), match(story.events, method=method)
    known_before = total(lot.cost for lot in before.open if lot.cost is not None)
    known_after = total(lot.cost for lot in after.open if lot.cost is not None)
    assert known_after == known_before
    assert total(lot.quantity for lot in after.open if lot.place == there) == size
    held = total(lot.quantity for lot in before.open)
    left = total(lot.quantity for lot in after.open if lot.place == HERE)
    assert left == max(held - size, D(0)) if held > 0 else left == held
