"""The unified table: what its rows, groups and sums are, and what grouping can never change."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregation.models import Instrument
from aggregation.positions.entries import Entry
from aggregation.positions.identity import Thing
from aggregation.positions.table import GROUPINGS, SORTS, Asked, Table, in_order, unified
from aggregation.rates.exchange import Gap, Quote
from connections.models import Account, Connection

ON = date(2026, 11, 20)
AT = datetime(2026, 11, 20, 21, 30, tzinfo=UTC)
RATES = {"USD": Decimal(1), "EUR": Decimal("1.25")}
INSTRUMENTS = [
    Instrument(pk=1, asset_class="equity", symbol="AAPL", name="Apple Inc", currency="USD", isin="US0378331005"),
    Instrument(pk=2, asset_class="etf", symbol="BND", name="Vanguard Total Bond", currency="USD"),
    Instrument(pk=3, asset_class="option", symbol="AAPL  270115C00240000", underlying="AAPL", currency="USD"),
    Instrument(pk=4, asset_class="equity", symbol="SAP", name="SAP SE", currency="EUR"),
    Instrument(pk=5, asset_class="crypto", symbol="BTC", currency="USD"),
    Instrument(pk=6, asset_class="equity", symbol="BRK.B", currency="USD"),
    Instrument(pk=7, asset_class="option", symbol="BRKB  270115P00400000", underlying="BRK.B", currency="USD"),
]
LEADS = {row.pk: row for row in INSTRUMENTS}
ACCOUNTS = [
    Account(pk=1, name="Individual", mask="4321", connection=Connection(broker="schwab")),
    Account(pk=2, name="Rollover IRA", mask="8812", connection=Connection(broker="schwab")),
    Account(pk=3, name="Trading", mask="0007", connection=Connection(broker="ibkr")),
]


def quote(currency: str) -> Quote | Gap:
    rate = RATES.get(currency)
    return Quote(currency, "USD", rate, ON, "ecb") if rate else Gap(currency, "USD", ON, "There is no reference rate.")


def an_entry(instrument: int | None = 1, account: int = 1, value: str | None = "2000", **fields: Any) -> Entry:
    found = LEADS[instrument] if instrument else None
    currency = fields.pop("currency", found.currency if found else "USD")
    amount = None if value is None else Decimal(value)
    defaults: dict[str, Any] = {
        "account": ACCOUNTS[account - 1],
        "instrument": found,
        "thing": Thing(instrument) if instrument else None,
        "currency": currency,
        "quantity": Decimal(10),
        "average_cost": Decimal(180),
        "cost": Decimal(1800),
        "price": Decimal(200),
        "value": amount,
        "day_change": Decimal(5),
        "gain": None if amount is None else amount - 1800,
        "as_of": AT,
        "quote": quote(currency),
    }
    return Entry(**defaults | fields)


def cash(account: int = 1, value: str | None = "500", currency: str = "USD") -> Entry:
    return an_entry(None, account, value, currency=currency, average_cost=None, cost=None, price=None)


def table(*held: Entry, **asked: Any) -> Table:
    return unified(held, Asked(**asked), "USD", LEADS)


def titles(shown: Table) -> dict[str, list[str]]:
    return {section.label: [row.title for row in section.rows] for section in shown.sections}


def test_one_thing_over_accounts_is_one_row_and_cash_is_one_per_currency():
    rows = table(an_entry(1, 1), an_entry(1, 3, "1000"), cash(1), cash(2), cash(1, currency="EUR")).rows
    assert [(row.title, row.value) for row in rows] == [("AAPL", 3000), ("Cash in USD", 1000), ("Cash in EUR", 500)]


def test_amounts_of_another_currency_are_told_in_the_tables():
    [row] = table(an_entry(4, value="2000", gain=Decimal(200))).rows
    assert (row.value, row.worth, row.gain, row.gain_worth, row.weight) == (2000, 2500, 200, 250, 1)


def test_without_a_rate_the_amount_stays_and_the_sum_says_what_it_leaves_out():
    shown = table(an_entry(1), cash(currency="XAU"))
    gold = shown.rows[-1]
    assert (gold.value, gold.worth, gold.weight) == (500, None, None)
    assert gold.gap is not None
    assert (shown.sums.value, shown.sums.value_unknown, shown.sums.whole, shown.weight) == (2000, 1, None, None)


def test_a_sum_of_which_nothing_is_known_is_unknown_and_not_nothing():
    [section] = table(cash(currency="XAU"), group="currency").sections
    assert (section.sums.known_value, section.sums.known_gain, section.sums.value_unknown) == (None, None, 1)
    assert table().sums.known_value == 0


def test_a_price_is_that_of_the_broker_who_spoke_last():
    late = an_entry(1, 3, price=Decimal(201), as_of=AT.replace(hour=22))
    [row] = table(late, an_entry(1, 1)).rows
    assert (row.price, row.latest.broker) == (201, "ibkr")


def test_an_unknown_cost_is_no_cost_and_the_sums_count_it():
    shown = table(an_entry(1, average_cost=None, cost=None, gain=None), an_entry(2, value="1900"))
    unknown = next(row for row in shown.rows if row.title == "AAPL")
    assert (unknown.average_cost, unknown.cost, unknown.gain, unknown.gain_share) == (None,) * 4
    assert (shown.sums.gain, shown.sums.gain_unknown) == (100, 1)


def test_long_here_and_short_there_has_no_average():
    [row] = table(an_entry(1, 1), an_entry(1, 2, "-800", quantity=Decimal(-4))).rows
    assert (row.quantity, row.average_cost, row.is_mixed) == (6, None, True)


def test_options_stand_with_their_underlying_and_the_rest_together():
    held = [an_entry(1), an_entry(3, value="-800"), an_entry(2), an_entry(7, value="300"), cash()]
    assert titles(table(*held, group="underlying")) == {
        "AAPL": ["AAPL", "AAPL 15 Jan 2027 240 Call"],
        "BRK.B": ["BRKB 15 Jan 2027 400 Put"],
        "Without options": ["BND", "Cash in USD"],
    }


@pytest.mark.parametrize(
    ("group", "sections"),
    [
        ("", {"": ["AAPL", "SAP", "Cash in USD"]}),
        ("class", {"Stock": ["AAPL", "SAP"], "Cash": ["Cash in USD"]}),
        ("currency", {"USD": ["AAPL", "Cash in USD"], "EUR": ["SAP"]}),
        ("broker", {"Charles Schwab": ["AAPL", "Cash in USD"], "Interactive Brokers": ["AAPL", "SAP"]}),
        ("account", {"Individual ...4321": ["AAPL", "Cash in USD"], "Trading ...0007": ["AAPL", "SAP"]}),
    ],
)
def test_rows_stand_in_groups_the_most_valuable_first(group, sections):
    held = [an_entry(1, 1, "3000"), an_entry(1, 3, "100"), an_entry(4, 3, "2000"), cash(1)]
    shown = titles(table(*held, group=group))
    assert {label: sorted(rows) for label, rows in shown.items()} == {k: sorted(v) for k, v in sections.items()}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"q": "apple"}, ["AAPL"]),
        ({"q": "US0378331005"}, ["AAPL"]),
        ({"q": "cash"}, ["Cash in USD"]),
        ({"account": 3}, ["SAP"]),
        ({"broker": "ibkr"}, ["SAP"]),
        ({"asset_class": "cash"}, ["Cash in USD"]),
        ({"currency": "EUR"}, ["SAP"]),
        ({"side": "short"}, ["AAPL 15 Jan 2027 240 Call"]),
        ({"q": "nothing"}, []),
    ],
)
def test_the_table_can_be_narrowed_and_weights_stay_shares_of_everything(asked, found):
    held = [an_entry(1), an_entry(3, value="-800", quantity=Decimal(-2)), an_entry(4, 3), cash()]
    shown = table(*held, **asked)
    assert [row.title for row in shown.rows] == found
    assert [row.weight for row in shown.rows] == [row.weight for row in table(*held).rows if row.title in found]


@pytest.mark.parametrize("sort", [*SORTS, *(f"-{name}" for name in SORTS)])
def test_what_is_not_known_comes_last_in_either_order(sort):
    unknown = an_entry(2, value=None, average_cost=None, cost=None, price=None, quantity=None, day_change=None)
    rows = in_order(table(unknown, an_entry(1), an_entry(5, value="9000")).rows, sort)
    value = SORTS[sort.removeprefix("-")]
    known = [value(row) for row in rows if value(row) is not None]
    assert known == sorted(known, reverse=sort.startswith("-"))
    assert all(value(row) is None for row in rows[len(known) :])


amounts = st.decimals(-9999, 9999, places=2)
pieces = st.builds(
    lambda instrument, account, value, gain, currency: an_entry(
        instrument,
        account,
        None if value is None else str(value),
        gain=gain,
        **({} if instrument else {"currency": currency}),
    ),
    st.sampled_from([None, *LEADS]),
    st.integers(1, 3),
    st.one_of(st.none(), amounts),
    st.one_of(st.none(), amounts),
    st.sampled_from(["USD", "EUR", "XAU"]),
)


@given(held=st.lists(pieces, max_size=12), group=st.sampled_from([*GROUPINGS]), sort=st.sampled_from([*SORTS]))
def test_grouping_and_ordering_never_change_the_totals(held: Sequence[Entry], group: str, sort: str):
    plain, grouped = table(*held), table(*held, group=group, sort=sort)
    assert grouped.sums == plain.sums == plain.whole
    assert sum(len(row.parts) for row in grouped.rows) == len(held)
    assert sum((section.sums.value for section in grouped.sections), Decimal(0)) == plain.sums.value


@given(held=st.lists(pieces, min_size=1, max_size=12), group=st.sampled_from([*GROUPINGS]))
def test_weights_add_up_to_one_when_every_value_is_known(held: Sequence[Entry], group: str):
    shown = table(*held, group=group)
    weights = [row.weight for row in shown.rows]
    if shown.whole.whole is None or shown.whole.whole <= 0:
        assert weights == [None] * len(weights)
    else:
        assert abs(sum((weight for weight in weights if weight), Decimal(0)) - 1) < Decimal("1e-20")
        assert None not in weights


def test_what_one_broker_calls_by_a_number_goes_by_the_name_another_gives_it():
    number = Instrument(pk=0, asset_class="equity", symbol="037833100", cusip="037833100", currency="USD")
    thing = Thing(0)
    named, numbered = an_entry(thing=thing), replace(an_entry(account=2, thing=thing), instrument=number)
    (row,) = unified([named, numbered], Asked(), "USD", {0: number}).rows
    assert row.title == "AAPL"
