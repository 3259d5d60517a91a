"""Which lots a sale consumes and what it gained, by worked examples."""

from datetime import date
from decimal import Decimal as D

import pytest

from aggregation.lots import events as happened
from aggregation.lots.engine import match
from aggregation.lots.events import Place, Received
from aggregation.lots.words import Method, Term, Why, term_of
from tests.aggregation.lots.story import HERE, Story

CHILD = Place(1, 2)


def gains(books):
    return [closed.gain for closed in books.closed]


def open_lots(books, place=HERE):
    return [(lot.quantity, lot.cost) for lot in books.open if lot.place == place]


def three_purchases():
    story = Story()
    story.trade(10, -1000)
    story.trade(10, -1500)
    story.trade(10, -1200)
    return story


@pytest.mark.parametrize(
    ("method", "gained", "left"),
    [
        (Method.FIFO, [D(400), D(-50)], [(D(5), D(750)), (D(10), D(1200))]),
        (Method.LIFO, [D(200), D(-50)], [(D(10), D(1000)), (D(5), D(750))]),
        (Method.HIGHEST, [D(-100), D(100)], [(D(10), D(1000)), (D(5), D(600))]),
    ],
)
def test_the_method_decides_which_lots_a_sale_consumes(method, gained, left):
    story = three_purchases()
    story.trade(-15, 2100)
    books = match(story.events, method=method)
    assert gains(books) == gained
    assert open_lots(books) == left


def test_picked_lots_go_first_and_the_rest_first_in_first_out():
    story = three_purchases()
    sale = story.trade(-15, 2100)
    books = match(story.events, method=Method.SPECIFIC, picks={sale: [(3, D(4))]})
    assert [(closed.lot, closed.quantity) for closed in books.closed] == [(3, D(4)), (1, D(10)), (2, D(1))]


def test_fees_are_in_the_cost_and_in_the_proceeds():
    story = Story()
    story.trade(10, "-1001.00")  # a thousand and a dollar commission
    story.trade(-10, "1198.97")
    (closed,) = match(story.events).closed
    assert (closed.basis, closed.proceeds, closed.gain) == (D("1001.00"), D("1198.97"), D("197.97"))


def test_a_short_sale_gains_when_it_is_bought_back_for_less():
    story = Story()
    story.trade(-10, 1000)
    story.trade(4, -300)
    books = match(story.events)
    (closed,) = books.closed
    assert (closed.proceeds, closed.basis, closed.gain, closed.term) == (D(400), D(300), D(100), Term.SHORT)
    assert open_lots(books) == [(D(-6), D(-600))]


def test_a_sale_of_more_than_is_held_turns_long_into_short():
    story = Story()
    story.trade(10, -1000)
    story.trade(-15, 1800)
    books = match(story.events)
    assert gains(books) == [D(200)]
    assert open_lots(books) == [(D(-5), D(-600))]


def test_what_was_sold_without_a_known_purchase_has_no_gain_and_never_a_cost_of_nothing():
    story = Story()
    story.trade(4, -400)
    story.trade(-10, 1200, may_open=False)
    known, unknown = match(story.events).closed
    assert known.gain == D(80)
    assert (unknown.quantity, unknown.cost, unknown.gain, unknown.why) == (D(6), None, None, Why.BEFORE)
    assert unknown.proceeds == D(720)


def test_a_split_changes_the_units_and_not_the_cost():
    story = Story()
    story.trade(10, -1000)
    story.trade(5, -700)
    story.split(30)  # three for one
    story.trade(-30, 1500)
    books = match(story.events)
    assert gains(books) == [D(500)]
    assert open_lots(books) == [(D(15), D(700))]


def test_a_reverse_split_with_cash_for_the_fraction():
    story = Story()
    story.trade(105, "-1050")
    story.split("-94.5")  # one for ten leaves ten and a half
    story.trade("-0.5", "48", may_open=False)
    books = match(story.events)
    assert gains(books) == [D(-2)]
    assert open_lots(books) == [(D(10), D(1000))]


def test_the_premium_of_an_exercised_call_is_part_of_what_the_shares_cost():
    story = Story()
    option = Place(1, 9)
    story.trade(1, "-200", place=option)
    shares = 3
    story.tell(happened.Delivery, place=option, quantity=D(-1), into=((shares, D(100)),))
    assert story.trade(100, -5000) == shares
    books = match(story.events)
    assert books.closed == []
    assert open_lots(books) == [(D(100), D(5200))]


def test_the_premium_of_an_assigned_put_lowers_the_cost_and_of_an_assigned_call_raises_the_proceeds():
    story = Story()
    put, call = Place(1, 8), Place(1, 9)
    story.trade(-1, 150, place=put)
    story.tell(happened.Delivery, place=put, quantity=D(1), into=((3, D(100)),))
    story.trade(100, -5000)
    story.trade(-1, 90, place=call)
    story.tell(happened.Delivery, place=call, quantity=D(1), into=((6, D(-100)),))
    story.trade(-100, 5500)
    (closed,) = match(story.events).closed
    assert (closed.basis, closed.proceeds, closed.gain) == (D(4850), D(5590), D(740))


def test_an_option_that_expires_loses_what_it_cost_or_keeps_what_it_brought():
    story = Story()
    story.trade(2, "-130")
    story.trade(-2, 0, may_open=False)
    story.trade(-1, 55)
    story.trade(1, 0, may_open=False)
    assert gains(match(story.events)) == [D(-130), D(55)]


def test_a_spin_off_takes_its_share_of_the_cost_and_keeps_the_age():
    story = Story()
    story.trade(100, -10_000, on=date(2023, 1, 3))
    received = Received(instrument=2, quantity=D(25), share=D("0.2"))
    story.tell(happened.SpinOff, received=received, on=date(2024, 6, 3))
    books = match(story.events)
    assert open_lots(books) == [(D(100), D(8000))]
    (child,) = [lot for lot in books.open if lot.place == CHILD]
    assert (child.quantity, child.cost, child.opened_on) == (D(25), D(2000), date(2023, 1, 3))


def test_without_its_share_a_spin_off_leaves_both_costs_unknown():
    story = Story()
    story.trade(100, -10_000)
    story.tell(happened.SpinOff, received=Received(instrument=2, quantity=D(25)))
    assert {(lot.cost, lot.why) for lot in match(story.events).open} == {(None, Why.SPIN_OFF)}


def test_a_merger_for_shares_carries_cost_and_age():
    story = Story()
    story.trade(10, -500, on=date(2020, 1, 2))
    story.trade(20, -1500, on=date(2024, 1, 2))
    story.tell(happened.Exchange, quantity=D(30), received=(Received(instrument=2, quantity=D(15)),))
    books = match(story.events)
    assert open_lots(books) == []
    assert [(lot.quantity, lot.cost, lot.opened_on) for lot in books.open] == [
        (D(5), D(500), date(2020, 1, 2)),
        (D(10), D(1500), date(2024, 1, 2)),
    ]


@pytest.mark.parametrize(
    ("paid", "counted", "left"),
    [
        (1000, 200, 900),  # all of the gain came in cash
        (700, 300, 700),  # as much of the gain as the cash; the rest waits in the shares
        (1400, 0, 1100),  # a loss waits as well
    ],
)
def test_of_a_merger_for_shares_and_cash_the_gain_counts_as_far_as_it_came_in_cash(paid, counted, left):
    """Ten shares become ten others of 90 each, and 300 in cash. Source: 26 USC 356(a)(1), 358(a)(1)."""
    story = Story()
    story.trade(10, -paid)
    received = (Received(instrument=2, quantity=D(10), value=D(90)),)
    story.tell(happened.Exchange, quantity=D(10), received=received, cash=D(300))
    books = match(story.events)
    assert gains(books) == [counted]
    assert open_lots(books, CHILD) == [(D(10), D(left))]


def test_a_merger_for_cash_and_shares_of_unknown_value_has_no_known_gain():
    story = Story()
    story.trade(10, -1000)
    received = (Received(instrument=2, quantity=D(10)),)
    story.tell(happened.Exchange, quantity=D(10), received=received, cash=D(300))
    books = match(story.events)
    assert gains(books) == [None]
    assert open_lots(books, CHILD) == [(D(10), None)]


def test_returned_capital_lowers_the_cost_and_beyond_it_is_a_gain():
    story = Story()
    story.trade(10, -100)
    story.trade(10, -900)
    story.tell(happened.Repaid, cash=D(300))
    books = match(story.events)
    assert open_lots(books) == [(D(10), D(0)), (D(10), D(750))]
    assert gains(books) == [D(50)]


def test_shares_taken_along_to_another_account_keep_cost_and_age():
    story = Story()
    there = Place(2, 1)
    story.trade(10, -1000, on=date(2020, 1, 2))
    story.trade(10, -2000, on=date(2024, 1, 2))
    left = story.tell(happened.Leave, quantity=D(15), on=date(2024, 9, 17))
    story.tell(happened.Arrive, quantity=D(15), place=there, source=left, on=date(2024, 9, 19))
    books = match(story.events)
    assert open_lots(books) == [(D(5), D(1000))]
    carried = [(lot.quantity, lot.cost, lot.opened_on) for lot in books.open if lot.place == there]
    assert carried == [(D(10), D(1000), date(2020, 1, 2)), (D(5), D(1000), date(2024, 1, 2))]


def test_shares_may_be_told_to_arrive_before_they_left():
    story = Story()
    there = Place(2, 1)
    story.trade(10, -1000)
    story.tell(happened.Arrive, quantity=D(10), place=there, source=3)
    assert story.tell(happened.Leave, quantity=D(10)) == 3
    (lot,) = match(story.events).open
    assert (lot.place, lot.quantity, lot.cost) == (there, D(10), D(1000))


def test_shares_from_nobody_knows_where_have_an_unknown_cost():
    story = Story()
    story.tell(happened.Arrive, quantity=D(10))
    story.trade(-4, 500)
    books = match(story.events)
    assert (books.open[0].quantity, books.open[0].cost, books.open[0].why) == (D(6), None, Why.TRANSFERRED)
    assert (gains(books), books.closed[0].why) == ([None], Why.TRANSFERRED)


def test_a_fee_taken_in_the_coin_leaves_fewer_coins_at_the_same_cost():
    story = Story()
    story.trade("0.5", -20_000)
    story.tell(happened.Shrink, quantity=D("0.003"))
    assert open_lots(match(story.events)) == [(D("0.497"), D(20_000))]


@pytest.mark.parametrize(
    ("opened", "closed", "term"),
    [
        (date(2024, 3, 15), date(2025, 3, 15), Term.SHORT),
        (date(2024, 3, 15), date(2025, 3, 16), Term.LONG),
        (date(2024, 2, 29), date(2025, 2, 28), Term.SHORT),
        (date(2024, 2, 29), date(2025, 3, 1), Term.LONG),
        (date(2023, 2, 28), date(2024, 2, 29), Term.SHORT),
        (date(2023, 2, 28), date(2024, 3, 1), Term.LONG),
        (None, date(2025, 3, 1), Term.UNKNOWN),
    ],
)
def test_long_term_is_more_than_one_year(opened, closed, term):
    assert term_of(opened, closed, is_short_sale=False) is term
