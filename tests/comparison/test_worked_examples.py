"""The worked examples T01 to T12 and T16 of the catalogue, to the cent. T13: ratings; T14 and T15: scores."""

from datetime import date
from decimal import Decimal as D

import pytest

from comparison import interest, replay
from comparison.costs import cost_of_day, total
from comparison.terms import Asset, Event, Side
from tests.comparison.engine import JUNE, contracts, lines, shares, shown, summed, tariff

BUY, SELL = Side.BUY, Side.SELL


def test_t01_ibkr_tiered_and_its_third_party_fees():
    buy = lines("ibkr:pro_tiered", shares(BUY, "250", "40.00"))
    assert shown(summed(buy, "us_stock_trade")) == "0.88"
    assert summed(buy) == D("0.9263957500")
    removing = lines("ibkr:pro_tiered", shares(BUY, "250", "40.00", liquidity="remove"))
    assert summed(removing) == D("1.6763957500")
    sell = lines("ibkr:pro_tiered", shares(SELL, "250", "40.00"))
    assert summed(sell) == D("1.1811457500")
    assert [shown(summed(found)) for found in (buy, removing, sell)] == ["0.93", "1.68", "1.18"]


def test_t02_the_cap_of_one_percent_beats_the_minimum():
    [commission] = [lines("ibkr:pro_fixed", shares(BUY, "50", "1.20"))["us_stock_trade"]]
    assert commission.low == commission.high == D("0.60")
    assert commission.formula == "50 x 0.005 = 0.25, minimum 1, cap 0.6"


@pytest.mark.parametrize(("price", "fee"), [("25.00", "5.00"), ("0.25", "2.50")])
def test_t03_the_vendors_own_examples_for_a_thousand_shares(price, fee):
    assert shown(summed(lines("ibkr:pro_fixed", shares(BUY, "1000", price)), "us_stock_trade")) == fee


def test_t04_three_contracts_at_four_brokers():
    bought, sold = contracts(BUY, "3", "2.00"), contracts(SELL, "3", "2.50")
    assert shown(summed(lines("robinhood:standard", bought))) == "0.12"
    assert shown(summed(lines("robinhood:standard", sold))) == "0.14"
    for event in (bought, sold):
        schwab = lines("schwab:standard", event)
        assert shown(summed(schwab, "us_option_contract")) == "1.95"
        assert schwab["orf_venue"].low is None, "which venue is not known, and no rate is known for June"
    ibkr = lines("ibkr:pro_fixed", bought)
    assert shown(summed(ibkr, "us_option_contract")) == "1.95"
    assert shown(summed(ibkr, "us_option_contract", "occ_clearing", "cat_option")) == "2.03"
    own = ("us_option_contract", "option_clearing", "orf_blended")
    assert shown(summed(lines("tastytrade:standard", bought), *own)) == "3.36"
    assert shown(summed(lines("tastytrade:standard", sold), *own)) == "0.36"


@pytest.mark.parametrize(
    ("quantity", "premium", "fee"),
    [("1", "2.00", "1.00"), ("2", "5.00", "1.30"), ("3", "0.075", "1.50"), ("5", "0.03", "1.25")],
)
def test_t05_option_minimums_and_premium_bands(quantity, premium, fee):
    assert shown(summed(lines("ibkr:pro_fixed", contracts(BUY, quantity, premium)), "us_option_contract")) == fee


@pytest.mark.parametrize(
    ("ref", "fee"),
    [
        ("ibkr:pro_fixed", "106.88"),
        ("ibkr:lite", "127.71"),
        ("robinhood:standard", "109.38"),
        ("robinhood:gold", "105.00"),
        ("schwab:standard", "235.94"),
        ("fidelity:standard", "241.15"),
    ],
)
def test_t06_a_margin_loan_of_25000_for_thirty_days(ref, fee):
    found = total(interest.margin(tariff(ref), D(25_000), 30, date(2026, 10, 1)))
    assert found.is_exact
    assert shown(found.low) == fee


def test_t06_gold_with_its_subscription():
    gold = tariff("robinhood:gold")
    loan = total(interest.margin(gold, D(25_000), 30, date(2026, 10, 1))).low
    month = total(cost_of_day(gold, [Event(on=date(2026, 10, 1), item="subscription")])).low
    assert shown(loan + month) == "110.00"


def test_t07_each_slice_of_a_blended_loan_bears_its_own_rate():
    found = interest.margin(tariff("ibkr:pro_fixed"), D(250_000), 30, date(2026, 10, 1))
    assert [line.formula for line in found] == ["100000 x 5.13% x 30 / 360", "150000 x 4.63% x 30 / 360"]
    assert shown(total(found).low) == "1006.25"


@pytest.mark.parametrize(
    ("ref", "mode", "fee"),
    [
        ("ibkr:pro_fixed", "manual", "2.00"),
        ("ibkr:pro_fixed", "automatic", "3.00"),
        ("fidelity:standard", "", "100.00"),
        ("schwab:standard", "", "100.00"),
    ],
)
def test_t08_converting_ten_thousand(ref, mode, fee):
    event = Event(on=JUNE, asset=Asset.FX, amount=D(10_000), mode=mode)
    assert shown(summed(lines(ref, event))) == fee


def test_t08_not_offered_is_not_free():
    event = Event(on=JUNE, asset=Asset.FX, amount=D(10_000))
    assert lines("robinhood:standard", event)["fx_conversion"].low is None
    assert tariff("robinhood:standard").cannot(event) == "accounts are USD only"


def test_t08_where_manual_conversion_becomes_cheaper():
    assert shown(interest.break_even(D("2.00"), D("3.0"))) == "6666.67"


def test_t08_without_the_mode_both_ways_bound_the_price():
    event = Event(on=JUNE, asset=Asset.FX, amount=D(10_000))
    line = lines("ibkr:lite", event)["fx_conversion"]
    assert (line.low, line.high) == (D(2), D(3))


@pytest.mark.parametrize(
    ("on", "section_31", "taf", "together"),
    [
        (date(2025, 3, 3), "0.42", "0.08", "0.50"),
        (date(2025, 8, 1), "0.00", "0.08", "0.08"),
        (date(2026, 6, 15), "0.31", "0.10", "0.41"),
        (date(2026, 10, 15), "0.31", "0.00", "0.31"),
    ],
)
def test_t09_regulatory_rates_are_those_of_the_trade_date(on, section_31, taf, together):
    found = lines("robinhood:standard", shares(SELL, "500", "30.00", on))
    assert shown(summed(found, "sec_section_31")) == section_31
    assert shown(summed(found, "finra_taf_equity")) == taf
    assert shown(summed(found, "sec_section_31", "finra_taf_equity")) == together


def test_t10_the_cap_of_the_trading_activity_fee():
    found = lines("robinhood:standard", shares(SELL, "60000", "595.50"))
    assert shown(summed(found, "sec_section_31")) == "736.04"
    assert shown(summed(found, "finra_taf_equity")) == "9.79"


def test_t11_alpaca_adds_up_a_day_before_it_rounds():
    day = [shares(BUY, "2", "500.00"), shares(SELL, "2", "500.00")]
    found = cost_of_day(tariff("alpaca:retail"), day)
    by_item = {item: total([line for line in found if line.item == item]).low for item in {line.item for line in found}}
    assert by_item["sec_section_31"] == D("0.03")
    assert by_item["finra_taf_equity"] == D("0.01")
    assert by_item["cat_equity"] == D("0.01")
    assert total(found).low == D("0.05")


def a_year() -> list[Event]:
    return (
        [shares(BUY, "50", "80")] * 24
        + [shares(SELL, "100", "85")] * 12
        + [contracts(BUY, "5", "1.50")] * 12
        + [contracts(SELL, "5", "1.50")] * 12
    )


@pytest.mark.parametrize(
    ("ref", "left_out", "fee"),
    [
        ("robinhood:standard", set(), "7.68"),
        ("ibkr:pro_fixed", {"orf_venue"}, "119.76"),
    ],
)
def test_t12_one_year(ref, left_out, fee):
    found = total(line for line in cost_of_day(tariff(ref), a_year()) if line.item not in left_out)
    assert found.is_exact
    assert shown(found.low) == fee


def test_t12_gold_pays_its_subscription_on_top():
    months = [Event(on=date(2026, month, 1), item="subscription") for month in range(1, 13)]
    assert shown(total(cost_of_day(tariff("robinhood:gold"), a_year() + months)).low) == "67.68"


def test_t12_schwab_without_the_sell_fees_of_options():
    schwab = tariff("schwab:standard")
    trades = [event for event in a_year() if event.asset is Asset.US_STOCK]
    stocks = total(cost_of_day(schwab, trades))
    options = total(
        line
        for line in cost_of_day(schwab, [event for event in a_year() if event.asset is not Asset.US_STOCK])
        if line.item == "us_option_contract"
    )
    assert shown(stocks.low + options.low) == "80.40"


def test_t16_ten_fills_without_an_order_id_are_one_order_or_ten():
    fills = [shares(BUY, "10", "20.00", symbol="ACME", account="one")] * 10
    [order] = replay.orders(fills)
    commission = total(replay.lines_of(tariff("ibkr:pro_fixed"), *replay.placed([order]))[:1])
    assert (shown(commission.low), shown(commission.high)) == ("1.00", "10.00")


def test_t16_the_brokers_order_id_settles_it():
    fills = [shares(BUY, "10", "20.00", symbol="ACME", account="one", order="77")] * 10
    history = replay.placed(replay.orders(fills))
    found = replay.replay(tariff("ibkr:pro_fixed"), history)
    commission = found.items["us_stock_trade"]
    assert (shown(commission.low), shown(commission.high)) == ("1.00", "1.00")
