"""The user's own transactions, priced at every plan."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal as D

import pytest
from django.utils import timezone

from aggregation import ledger
from aggregation.models import BookStatus, Source, Transaction
from comparison import simulation, stored
from comparison.costs import Tariff
from comparison.history import Stretch
from comparison.simulation import Wish
from comparison.terms import Asset, Event, Side
from connections.brokers.records import AssetClass, InstrumentRecord, TransactionKind
from tests.aggregation.factories import CALL, a_balance, a_connection, a_record, a_user, an_account, some_holdings
from tests.comparison.engine import shipped

COIN = InstrumentRecord(asset_class=AssetClass.CRYPTO, symbol="BTC")
YEAR = (date(2026, 1, 1), date(2026, 9, 30))


@pytest.fixture
def account(loaded):
    return an_account(a_connection(a_user()))


def book(account, *records):
    ledger.book(account=account, records=records, source=Source.API, run_id=None)


def sold(number, quantity="100", price="85", on=date(2026, 6, 15), fees="0.20", **more):
    amount = D(quantity) * D(price)
    given = {"kind": TransactionKind.SELL, "net_amount": amount - D(fees), "gross_amount": amount, "fees": D(fees)}
    return a_record(number, traded_on=on, quantity=-D(quantity), price=D(price), **given | more)


def wish(account, *, dated=True, since=YEAR[0], until=YEAR[1]):
    return Wish(accounts=(account.pk,), since=since, until=until, rates_of=None if dated else date(2026, 11, 23))


def simulated(account, **more):
    return simulation.simulate(account.connection.user, wish(account, **more))


def test_each_plan_prices_the_same_trades(account):
    book(account, sold("1"), sold("2", on=date(2026, 6, 16)))
    found = simulated(account)
    assert found.orders == 2
    costs = {ref: plan.items["us_stock_trade"].low for ref, plan in found.plans.items()}
    assert (costs["schwab:standard"], costs["ibkr:pro_fixed"]) == (D(0), D(2))
    assert found.plans["robinhood:standard"].items["sec_section_31"].low == D("0.36")
    assert found.plans["robinhood:gold"].items["subscription"].low == D(45), "five a month, nine months"


def test_what_a_correction_takes_out_of_the_books_is_no_transfer_to_another_broker(account):
    gone = {"kind": TransactionKind.TRANSFER_OUT, "quantity": D(-5), "price": None, "net_amount": D(0)}
    by_broker = a_record("1", traded_on=date(2026, 6, 15), gross_amount=None, **gone)
    book(account, sold("2"), by_broker)
    before = simulated(account).plans["schwab:standard"].items["acats_out_partial"].low
    ledger.book(
        account=account,
        records=[replace(by_broker, external_id="fix:1:1", traded_on=date(2026, 7, 15))],
        source=Source.MANUAL,
        run_id=None,
    )
    assert simulated(account).plans["schwab:standard"].items["acats_out_partial"].low == before > 0


def test_the_rates_of_the_day_or_of_today(account):
    book(account, sold("1", on=date(2025, 8, 1)))
    period = {"since": date(2025, 1, 1), "until": date(2025, 12, 31)}
    then = simulated(account, dated=True, **period).plans["ibkr:pro_fixed"]
    now = simulated(account, dated=False, **period).plans["ibkr:pro_fixed"]
    assert then.items["sec_section_31"].low == 0, "it was zero in August 2025"
    assert now.items["sec_section_31"].low == D("0.1751")
    assert then.items["cat_equity"].unknown == 1, "no rate is known for that day"


def test_what_is_no_trade_is_not_priced(account):
    book(
        account,
        sold("1"),
        a_record("2", subtype="reinvest"),
        a_record("3", kind=TransactionKind.DIVIDEND, net_amount=D(5), gross_amount=D(5), quantity=None),
        a_record("4", kind=TransactionKind.SPLIT, net_amount=D(0), gross_amount=None),
        a_record("5", kind=TransactionKind.TRANSFER_IN, net_amount=D(0), gross_amount=None),
    )
    assert simulated(account).orders == 1


def test_excluded_rows_do_not_count_and_change_the_result(account):
    book(account, sold("1"), sold("2", on=date(2026, 6, 16)))
    assert simulated(account).orders == 2
    Transaction.objects.filter(external_id="2").update(status=BookStatus.EXCLUDED)
    assert simulated(account).orders == 1


def test_what_a_plan_cannot_do_is_counted(account):
    book(account, *(a_record(str(n), instrument=COIN, traded_on=date(2026, 5, n)) for n in range(1, 15)))
    vanguard = simulated(account).plans["vanguard:standard"]
    assert vanguard.impossible == {"not offered": 14}
    assert vanguard.priced == 0


def test_trades_that_cannot_be_priced_are_named(account):
    book(account, sold("1", currency="EUR"), sold("2", instrument=None), sold("3"))
    found = simulated(account)
    assert found.orders == 1
    assert found.left_out == {"trade in another currency": 1, "kind of security that is not compared": 1}


def test_fills_without_an_order_id_give_a_range(account):
    fills = [sold(str(n), quantity="10", price="20", fees="0") for n in range(10)]
    book(account, *fills)
    fixed = simulated(account).plans["ibkr:pro_fixed"].items["us_stock_trade"]
    assert (fixed.low, fixed.high) == (D(1), D(10))


def test_fills_of_one_order_are_one(account):
    book(account, *(sold(str(n), quantity="10", price="20", fees="0", group_id="77") for n in range(10)))
    fixed = simulated(account).plans["ibkr:pro_fixed"].items["us_stock_trade"]
    assert (fixed.low, fixed.high) == (D(1), D(1))


def test_an_option_is_opened_or_closed_by_the_position_before(account):
    one = {"instrument": CALL, "gross_amount": D(-200), "net_amount": D(-200), "price": D(2)}
    book(
        account,
        a_record("1", traded_on=date(2025, 12, 1), quantity=D(1), **one),
        a_record("2", kind=TransactionKind.SELL, traded_on=date(2026, 2, 1), quantity=D(-1), **one),
        a_record("3", traded_on=date(2026, 3, 1), quantity=D(1), **one),
    )
    commission = simulated(account).plans["tastytrade:standard"].items["us_option_contract"]
    assert (commission.low, commission.high) == (D(1), D(1)), "closing is free, opening costs one"


def test_what_was_paid_stands_beside_the_model_of_the_own_broker(account):
    book(account, sold("1", fees="0.20"), sold("2", on=date(2026, 6, 16), fees="9.95"))
    found = simulated(account)
    assert found.actual.trade_fees == D("10.15")
    [error] = found.errors
    assert (error.ref, error.low, error.paid) == ("schwab:standard", D("0.40"), D("10.15"))
    assert error.gap == D("9.75")
    assert error.is_large
    assert [(one.modelled, one.paid) for one in error.differing] == [(D("0.20"), D("9.95"))]


def test_an_order_with_an_unknown_price_is_not_compared_as_if_it_cost_nothing(account):
    """No rate of the SEC's fee is known for the day: what was charged may be that fee."""
    plan, rates = stored.catalogue().plans["schwab:standard"], stored.catalogue().rates
    ended = tuple(replace(row, last=date(2026, 1, 1)) for row in rates.regulatory["sec_section_31"])
    untold = replace(rates, regulatory={**rates.regulatory, "sec_section_31": ended})
    tariffs = {plan.ref: Tariff(plan, untold)}
    model = simulation._OwnBroker([account], tariffs)
    buy = Event(
        on=date(2026, 6, 15),
        asset=Asset.US_STOCK,
        side=Side.BUY,
        quantity=D(10),
        price=D(85),
        amount=D(850),
        account=str(account.pk),
        paid=D(0),
    )
    sell = replace(buy, side=Side.SELL, paid=D("6.95"))
    model.add([buy, sell, replace(buy, symbol="UNTOLD", paid=None)])
    [error] = model.errors()
    assert (error.compared, error.left, error.orders) == (1, 2, 3)
    assert (error.low, error.high, error.paid, error.gap) == (D(0), D(0), D(0), D(0))
    assert error.paid_without == D("6.95")
    assert dict(error.reasons) == {"SEC Section 31 fee not known": 1, "what was charged not known": 1}
    assert not error.differing


def test_a_small_model_error_does_not_warn(account):
    book(account, sold("1", fees="0.21"))
    [error] = simulated(account).errors
    assert error.gap == D("0.01")
    assert not error.is_large


def test_borrowed_days_bear_margin_interest_and_cash_earns(account):
    as_of = datetime(2026, 9, 30, 20, tzinfo=UTC)
    book(
        account,
        a_record("1", kind=TransactionKind.DEPOSIT, traded_on=date(2026, 7, 1), net_amount=D(36_000), quantity=None),
        a_record("2", traded_on=date(2026, 8, 30), net_amount=D(-1_000), gross_amount=D(-1_000)),
    )
    holdings = some_holdings(as_of=as_of, balances=(a_balance(cash=D(10_000)),))
    ledger.record_holdings(account=account, holdings=holdings, run_id=None)
    found = simulated(account, since=date(2026, 6, 1), dated=False).plans
    # Borrowed 25,000 in June, 11,000 from July on, then 10,000.
    assert found["robinhood:standard"].items["margin_interest"].low == D(25_000) * D("0.0525") * 30 / 360
    gold = found["robinhood:gold"].items["cash_interest"]
    assert gold.low == D("0.036") / 365 * (D(11_000) * 60 + D(10_000) * 32)
    assert not gold.counted, "interest earned is never part of the fees"
    assert found["merrill:standard"].items["margin_interest"].unknown == 1


def test_without_a_cash_balance_margin_is_left_out_and_said(account):
    book(account, sold("1"))
    found = simulated(account)
    assert found.without_cash == [str(account)]
    assert "margin_interest" not in found.plans["robinhood:standard"].items


def test_the_result_is_kept_until_something_changes(account, django_assert_max_num_queries):
    book(account, sold("1"))
    user = account.connection.user
    assert simulation.kept(user, wish(account)) is None
    first = simulated(account)
    again = simulation.kept(user, wish(account))
    assert again is not None
    assert again.plans["schwab:standard"].low == first.plans["schwab:standard"].low
    book(account, sold("2", on=date(2026, 7, 1)))
    assert simulation.kept(user, wish(account)) is None


def test_another_persons_account_prices_nothing(account):
    book(account, sold("1"))
    found = simulation.simulate(a_user(), wish(account))
    assert found.is_empty


@pytest.mark.parametrize("ref", ["ibkr:pro_tiered", "robinhood:gold", "alpaca:retail"])
def test_every_amount_is_the_sum_of_the_lines_behind_it(account, ref):
    book(account, sold("1"), sold("2", on=date(2026, 7, 2)), sold("3", on=date(2026, 7, 2)))
    holdings = some_holdings(as_of=timezone.now(), balances=(a_balance(cash=D(-500)),))
    ledger.record_holdings(account=account, holdings=holdings, run_id=None)
    found = simulated(account, dated=False)
    plan = found.plans[ref]
    assert {"us_stock_trade", "sec_section_31", "margin_interest"} <= plan.items.keys(), "otherwise nothing is compared"
    for item, entry in plan.items.items():
        lines = simulation.lines_behind(account.connection.user, found.wish, ref, item, 0, 10_000)
        assert sum((line.low for _, line in lines if line.low is not None), D(0)) == entry.low, item
        assert sum((line.high for _, line in lines if line.high is not None), D(0)) == entry.high, item
        assert len(lines) == entry.count + entry.unknown
        assert all(line.formula for _, line in lines)


def test_fills_below_one_share_are_priced_as_fractions_whether_one_order_or_many(account):
    fills = [sold(str(n), quantity="0.6", price="100", fees="0") for n in range(2)]
    book(account, *fills)
    items = simulated(account).plans["ibkr:pro_fixed"].items
    # As one order of 1.2 shares the minimum of 1.00, as two of 0.6 one percent of 60.00 each.
    assert (items["us_stock_trade"].low, items["us_stock_trade"].high) == (D(1), D("1.2"))


def test_interest_follows_the_rate_that_changes_while_the_balance_stands():
    plan = shipped()[0]["robinhood:standard"]
    [rule] = plan.rules["margin_interest"]
    dearer = [tier | {"rate_pct": D("7.2")} for tier in rule.values["tiers"]]
    before = replace(rule, values={**rule.values, "tiers": dearer}, valid_to=date(2026, 7, 31))
    rules = dict(plan.rules) | {"margin_interest": (replace(rule, valid_from=date(2026, 8, 1)), before)}
    changed = Tariff(replace(plan, rules=rules), shipped()[1])
    july_and_august = Stretch(date(2026, 7, 1), 62, D(-36_000))
    first, second = simulation.interest_lines(changed, [july_and_august])
    assert first.low == D(36_000) * 31 * D("7.2") / 100 / 360
    assert second.low == D(36_000) * 31 * D("5.25") / 100 / 360
    assert len(list(simulation.interest_lines(Tariff(plan, shipped()[1], date(2026, 9, 1)), [july_and_august]))) == 1


def test_the_result_is_new_when_the_broker_says_another_balance(account):
    book(account, sold("1"))
    simulated(account)
    holdings = some_holdings(as_of=timezone.now(), balances=(a_balance(cash=D(-500)),))
    ledger.record_holdings(account=account, holdings=holdings, run_id=None)
    assert simulation.kept(account.connection.user, wish(account)) is None


def test_excluding_one_trade_and_bringing_back_its_like_is_a_change(account):
    book(account, sold("1"), sold("2", on=date(2025, 7, 1)), sold("3", on=date(2026, 7, 1)))
    Transaction.objects.filter(external_id="2").update(status=BookStatus.EXCLUDED)
    assert simulated(account).orders == 2
    Transaction.objects.update(status=BookStatus.POSTED)
    Transaction.objects.filter(external_id="1").update(status=BookStatus.EXCLUDED)
    assert simulated(account).orders == 1


def test_progress_is_told_month_by_month(account):
    book(account, sold("1"), sold("2", on=date(2026, 7, 2)))
    told = []
    simulation.simulate(account.connection.user, wish(account), lambda done, total: told.append((done, total)))
    assert told == [(165, 273), (182, 273), (273, 273)]
