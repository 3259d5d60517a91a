"""Which rows are one thing: by what proves it, by what a person decided, and never by looks alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregation.models import Instrument, InstrumentChoice
from aggregation.positions.identity import Thing, Things

APPLE, BERKSHIRE = "037833100", "084670702"


def a_row(pk: int, symbol: str = "ABC", asset_class: str = "equity", **fields: str) -> Instrument:
    return Instrument(pk=pk, symbol=symbol, asset_class=asset_class, **{"currency": "USD"} | fields)


def a_choice(
    instrument_id: int, other_id: int | None, is_same: bool, account_id: int | None = None
) -> InstrumentChoice:
    return InstrumentChoice(instrument_id=instrument_id, other_id=other_id, is_same=is_same, account_id=account_id)


def are_one(*rows: Instrument, choices: tuple[InstrumentChoice, ...] = ()) -> bool:
    things = Things(rows, choices)
    return len({things.of(row.pk, 0) for row in rows}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (a_row(1, "FB", cusip=APPLE), a_row(2, "META", cusip=APPLE)),
        (a_row(1, "FB", cusip=APPLE), a_row(2, "META", isin="US0378331005")),
        (a_row(1, "FB", conid="107113386"), a_row(2, "META", conid="107113386")),
        (a_row(1, "BRK B"), a_row(2, "BRK-B", cusip=BERKSHIRE)),
        (a_row(1, "BTC", "crypto"), a_row(2, "BTC-USD", "crypto")),
        (a_row(1, "AAPL270115C00240000", "option"), a_row(2, "AAPL  270115C00240000", "option")),
    ],
)
def test_one_thing_by_its_number_contract_or_spelling(one, other):
    assert are_one(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (a_row(1, cusip=APPLE), a_row(2, cusip=BERKSHIRE)),
        (a_row(1, "LINK", "equity"), a_row(2, "LINK", "crypto")),
        (a_row(1, isin="IE00BK5BQT80", currency="EUR"), a_row(2, isin="IE00BK5BQT80", currency="GBP")),
        (a_row(1, "A"), a_row(2, "B")),
    ],
)
def test_what_only_looks_alike_stays_apart(one, other):
    assert not are_one(one, other)


def test_a_symbol_that_two_things_share_tells_nothing_of_a_third():
    rows = [a_row(1, "BRK B", cusip=APPLE), a_row(2, "BRK-B", cusip=BERKSHIRE), a_row(3, "BRK.B")]
    assert Things(rows).joined() == []
    assert Things(rows).alike() == [(1, 2), (1, 3), (2, 3)]


def test_a_person_joins_what_nothing_proves_and_parts_what_a_number_joins():
    assert are_one(a_row(1, "A"), a_row(2, "B"), choices=(a_choice(1, 2, is_same=True),))
    same = (a_row(1, "FB", cusip=APPLE), a_row(2, "META", cusip=APPLE))
    assert not are_one(*same, choices=(a_choice(1, 2, is_same=False),))
    assert Things(same, [a_choice(1, 2, is_same=False)]).alike() == []


def test_what_one_account_holds_may_be_another_thing():
    things = Things([a_row(1)], [a_choice(1, None, is_same=False, account_id=7)])
    assert things.of(1, 8) == Thing(1)
    assert things.of(1, 7) == Thing(1, 7)


def test_what_is_apart_stays_apart_on_every_way_around():
    rows = [a_row(1, "A", cusip=APPLE), a_row(2, "B", cusip=APPLE, conid="9"), a_row(3, "C", conid="9")]
    assert are_one(*rows)
    things = Things(rows, [a_choice(1, 3, is_same=False)])
    assert things.of(1, 0) != things.of(3, 0)


some_rows = st.lists(
    st.builds(
        a_row,
        pk=st.integers(1, 9),
        symbol=st.sampled_from(["ABC", "BRK.B", "BRK B", "BRK-B"]),
        cusip=st.sampled_from(["", APPLE, BERKSHIRE]),
        conid=st.sampled_from(["", "", "7", "8"]),
        currency=st.sampled_from(["USD", "USD", "EUR"]),
    ),
    unique_by=lambda row: row.pk,
    max_size=8,
)
some_choices = st.lists(
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.booleans())
    .filter(lambda pair: pair[0] < pair[1])
    .map(lambda pair: a_choice(*pair)),
    unique_by=lambda choice: (choice.instrument_id, choice.other_id),
    max_size=4,
)


@given(rows=some_rows, choices=some_choices, data=st.data())
def test_the_order_in_which_rows_and_decisions_come_makes_no_difference(rows, choices, data):
    things = Things(rows, choices)
    again = Things(data.draw(st.permutations(rows)), data.draw(st.permutations(choices)))
    assert {row.pk: things.of(row.pk, 0) for row in rows} == {row.pk: again.of(row.pk, 0) for row in rows}


@given(rows=some_rows, choices=some_choices)
def test_a_thing_has_one_currency_unless_a_person_says_so_and_never_what_they_keep_apart(rows, choices):
    things = Things(rows, [choice for choice in choices if not choice.is_same])
    for choice in choices:
        if not choice.is_same and {choice.instrument_id, choice.other_id} <= things.rows.keys():
            assert things.of(choice.instrument_id, 0) != things.of(choice.other_id, 0)
    for group in things.joined():
        assert len({things.rows[pk].currency for pk in group}) == 1


@given(rows=some_rows)
def test_of_one_symbol_two_numbers_are_never_one_thing(rows):
    bare = [a_row(row.pk, row.symbol, cusip=row.cusip) for row in rows]
    for group in Things(bare).joined():
        assert len({row.cusip for row in bare if row.pk in group and row.cusip}) <= 1
