"""What holds for every plan, every trade and every day: properties of the cost engine, over the shipped catalogue."""

from datetime import date, timedelta
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparison import replay
from comparison.costs import cost, total
from comparison.terms import Asset, Event, Rounding, Side, Volume
from tests.comparison.engine import JUNE, contracts, lines, shares, shipped, tariff

PLANS = sorted(shipped()[0])
plans = st.sampled_from(PLANS)
sides = st.sampled_from(Side)
days = st.dates(date(2018, 1, 1), date(2029, 12, 31))
numbers = st.decimals(D("0.0001"), D(1_000_000), allow_nan=False, allow_infinity=False, places=4)
prices = st.decimals(D("0.01"), D(5_000), allow_nan=False, allow_infinity=False, places=2)
whole = st.integers(1, 50_000).map(D)


@st.composite
def events(draw) -> Event:
    asset, quantity, price = draw(st.sampled_from(Asset)), draw(numbers), draw(prices)
    side = None if asset is Asset.FX else draw(sides)
    opening = draw(st.sampled_from([True, False, None]))
    return Event(
        on=draw(days), asset=asset, side=side, opening=opening, quantity=quantity, price=price, amount=quantity * price
    )


@given(plans, events())
def test_no_fee_is_negative_and_no_bound_is_crossed(ref, event):
    for line in cost(tariff(ref), event):
        if line.low is not None and line.high is not None and line.counted:
            assert D(0) <= line.low <= line.high


@given(plans, events())
def test_the_counted_lines_sum_to_the_total_and_the_rest_is_named(ref, event):
    found = cost(tariff(ref), event)
    result = total(found)
    assert result.low == sum(line.low for line in found if line.counted and line.low is not None)
    assert len(result.missing) + len(result.beside) == sum(line.low is None or not line.counted for line in found)


@given(plans, events())
def test_every_line_says_how_it_came_about(ref, event):
    for line in cost(tariff(ref), event):
        assert line.formula
        assert "{" not in line.formula


@given(plans, sides, whole, st.integers(0, 5_000), prices)
def test_more_shares_never_cost_less(ref, side, quantity, more, price):
    fewer = total(cost(tariff(ref), shares(side, str(quantity), str(price))))
    many = total(cost(tariff(ref), shares(side, str(quantity + more), str(price))))
    assert many.low >= fewer.low
    assert many.high >= fewer.high


@given(plans, sides, st.integers(1, 5_000), st.integers(0, 4_000), prices)
def test_more_contracts_never_cost_less(ref, side, quantity, more, premium):
    fewer = total(cost(tariff(ref), contracts(side, str(quantity), str(premium))))
    many = total(cost(tariff(ref), contracts(side, str(quantity + more), str(premium))))
    assert many.low >= fewer.low


@given(whole, prices)
def test_minimum_and_cap_of_ibkr_hold(quantity, price):
    line = lines("ibkr:pro_fixed", shares(Side.BUY, str(quantity), str(price)))["us_stock_trade"]
    cap = quantity * price / 100
    assert min(D(1), cap) <= line.low <= cap


@given(whole, st.integers(1, 900_000), prices)
def test_crossing_a_volume_tier_is_marginal(quantity, before, price):
    tiered = tariff("ibkr:pro_tiered")
    event = shares(Side.BUY, str(quantity), str(price))
    amount = cost(tiered, event, Volume(shares=D(before)))[0].low
    assert min(quantity * D("0.0020"), quantity * price / 100) <= amount
    assert amount <= max(quantity * D("0.0035"), D("0.35"))


@given(plans, events())
def test_what_a_plan_rounds_comes_in_whole_cents(ref, event):
    charged = {how.fee: how for how in tariff(ref).plan.passes if how.rounding in (Rounding.UP, Rounding.NEAREST)}
    for line in cost(tariff(ref), event):
        if line.item in charged and not charged[line.item].is_daily and line.low is not None:
            assert line.low == line.low.quantize(D("0.01"))


@pytest.mark.parametrize(
    ("on", "section_31", "taf"),
    [
        (date(2025, 5, 13), "0.0278", "0.0166"),
        (date(2025, 5, 14), "0", "0.0166"),
        (date(2025, 12, 31), "0", "0.0166"),
        (date(2026, 1, 1), "0", "0.0195"),
        (date(2026, 4, 3), "0", "0.0195"),
        (date(2026, 4, 4), "0.0206", "0.0195"),
        (date(2026, 9, 30), "0.0206", "0.0195"),
        (date(2026, 10, 1), "0.0206", "0"),
        (date(2026, 12, 31), "0.0206", "0"),
        (date(2027, 1, 1), "0.0206", "0.0232"),
    ],
)
def test_on_the_edges_of_dated_rates_the_day_itself_counts(on, section_31, taf):
    found = lines("ibkr:pro_fixed", shares(Side.SELL, "100", "10", on))
    assert found["sec_section_31"].low == D(section_31)
    assert found["finra_taf_equity"].low == D(taf)


def test_a_day_before_all_known_rates_is_unknown_and_not_free():
    found = lines("ibkr:pro_fixed", shares(Side.SELL, "100", "10", date(2017, 1, 2)))
    assert found["sec_section_31"].low is None
    assert found["sec_section_31"].formula == "no rate is known for 2017-01-02"


@pytest.mark.parametrize("ref", PLANS)
def test_index_options_carry_no_section_31_fee(ref):
    event = contracts(Side.SELL, "1", "10", asset=Asset.INDEX_OPTION, symbol="SPX")
    assert "sec_section_31" not in {line.item for line in cost(tariff(ref), event)}


def test_the_exchanges_fee_on_an_index_depends_on_the_index():
    etrade = lines("etrade:standard", contracts(Side.BUY, "2", "10", asset=Asset.INDEX_OPTION, symbol="SPX"))
    assert etrade["index_exchange_fee"].low == D("1.08")
    unknown = lines("etrade:standard", contracts(Side.BUY, "2", "10", asset=Asset.INDEX_OPTION, symbol="RUT"))
    assert unknown["index_exchange_fee"].low is None
    cheap = lines("webull:standard", contracts(Side.BUY, "1", "0.99", asset=Asset.INDEX_OPTION, symbol="SPX"))
    assert cheap["index_exchange_fee"].low == D("0.57")


def test_robinhood_waives_what_is_small():
    few = lines("robinhood:standard", shares(Side.SELL, "10", "50.00"))
    assert few["sec_section_31"].low == few["finra_taf_equity"].low == D(0)
    assert few["sec_section_31"].formula == "waived for a trade this small"
    option = lines("robinhood:standard", contracts(Side.SELL, "1", "4.00"))
    assert option["sec_section_31"].low == D("0.01"), "options are never waived"


def test_buying_an_option_back_cheaply_is_free_where_the_broker_says_so():
    closing = lines("fidelity:standard", contracts(Side.BUY, "4", "0.65", opening=False))["us_option_contract"]
    assert closing.low == closing.high == D(0)
    unknown = lines("fidelity:standard", contracts(Side.BUY, "4", "0.65", opening=None))["us_option_contract"]
    assert (unknown.low, unknown.high) == (D(0), D("2.60"))


def test_tiers_start_anew_each_calendar_month():
    big = shares(Side.BUY, "300000", "10", date(2026, 6, 29), order="1")
    next_day = [shares(Side.BUY, "1000", "10", date(2026, 6, 30), order="2")]
    next_month = [shares(Side.BUY, "1000", "10", date(2026, 7, 1), order="3")]
    tiered = tariff("ibkr:pro_tiered")
    _, june, july = replay.placed(replay.orders([big, *next_day, *next_month]))
    assert replay.lines_of(tiered, june)[0].low == D("2.00")
    assert replay.lines_of(tiered, july)[0].low == D("3.50")


def test_free_withdrawals_are_counted_by_the_month():
    wires = [Event(on=JUNE + timedelta(days=day), item="wire_out_domestic") for day in (0, 1, 20)]
    found = [replay.lines_of(tariff("ibkr:lite"), one)[0].low for one in replay.placed(replay.orders(wires))]
    assert found == [D(0), D(10), D(0)]


def test_what_a_plan_cannot_do_is_counted_and_not_summed():
    coins = [Event(on=JUNE, asset=Asset.CRYPTO, side=Side.BUY, quantity=D(1), price=D(9), amount=D(9), order="1")]
    found = replay.replay(tariff("merrill:standard"), replay.placed(replay.orders(coins)))
    assert found.impossible == {"not offered": 1}
    assert found.is_partial
    assert found.priced == found.low == 0


@given(plans, st.lists(events(), max_size=12))
def test_a_history_costs_what_its_lines_sum_to(ref, history):
    history = [event for event in history if event.asset is not Asset.FX]
    one = tariff(ref, JUNE)
    placed = replay.placed(replay.orders(history))
    found = replay.replay(one, placed)
    listed = [line for _, line in replay.every_line(one, placed)]
    summed = total(listed)
    if any(line.daily for line in listed):
        assert found.low >= summed.low, "rounding up once a day only adds"
    else:
        assert (found.low, found.high) == (summed.low, summed.high)
