"""Lots from booked rows, by the door pages use: what the ledger's words mean for the units."""

from datetime import UTC, date, datetime
from decimal import Decimal as D

import pytest

from aggregation.ledger import book, record_holdings
from aggregation.lots.service import lots_of
from aggregation.lots.words import Why
from aggregation.models import Source
from aggregation.reconciliation import transfers
from connections.brokers.records import AssetClass, InstrumentRecord
from connections.brokers.records import TransactionKind as Kind
from tests.aggregation.factories import AAPL, a_connection, a_position, a_record, an_account, some_holdings

pytestmark = pytest.mark.django_db

KO = InstrumentRecord(asset_class=AssetClass.EQUITY, symbol="KO")
CHILD = InstrumentRecord(asset_class=AssetClass.EQUITY, symbol="KOSPIN")
PUT = InstrumentRecord(
    asset_class=AssetClass.OPTION, symbol="KO    240119P00060000", underlying="KO", multiplier=D(100)
)


def told(kind, on, quantity, net, instrument=KO, **fields):
    facts = {"price": None, "gross_amount": None, "fees": D(0), "taxes": D(0), "settled_on": None, "occurred_at": None}
    number = fields.pop("id", f"{kind}:{on}:{instrument and instrument.symbol}:{quantity}:{net}")
    quantity = None if quantity is None else D(str(quantity))
    return a_record(
        number, kind=kind, traded_on=date.fromisoformat(on), quantity=quantity, net_amount=D(str(net)),
        instrument=instrument, **facts | fields,
    )  # fmt: skip


def booked(*records, account=None):
    account = account or an_account()
    book(account=account, records=records, source=Source.API, run_id=None)
    return account


def report(account, *held):
    positions = [a_position(instrument, quantity, average_cost=None) for instrument, quantity in held]
    record_holdings(account=account, holdings=some_holdings(*positions), run_id=None)


def lots(account, **more):
    return lots_of(account.connection.user, **more)


def open_of(account, instrument=KO):
    return [
        (each.lot.quantity, each.lot.cost, each.why)
        for each in lots(account).open
        if each.instrument.symbol == instrument.symbol
    ]


def gains(account):
    return sorted(
        (each.instrument.symbol, each.closed.quantity, each.closed.gain, each.why) for each in lots(account).closed
    )


def test_units_the_broker_holds_and_no_row_explains_are_a_lot_of_unknown_cost():
    account = booked(told(Kind.BUY, "2025-03-03", 10, -500), told(Kind.SELL, "2025-06-02", -25, 1500))
    report(account, (KO, "5"))
    assert open_of(account) == [(D(5), D(250), Why.KNOWN)]
    assert gains(account) == [("KO", D(5), D(50), Why.KNOWN), ("KO", D(20), None, Why.BEFORE)]


def test_a_margin_account_whose_rows_add_up_to_what_is_held_really_sold_short():
    account = booked(told(Kind.SELL, "2025-03-03", -10, 500), told(Kind.BUY, "2025-06-02", 10, -400))
    report(account)
    assert gains(account) == [("KO", D(-10), D(100), Why.KNOWN)]


def test_in_a_file_what_was_sold_first_was_bought_before_the_file_begins():
    account = booked(told(Kind.SELL, "2025-03-03", -10, 500), told(Kind.BUY, "2025-06-02", 10, -400))
    assert gains(account) == [("KO", D(10), None, Why.BEFORE)]
    assert open_of(account) == [(D(10), D(400), Why.KNOWN)]


def test_a_sale_the_broker_calls_short_is_short():
    account = booked(told(Kind.SELL, "2025-03-03", -10, 500, subtype="short"))
    assert open_of(account) == [(D(-10), D(-500), Why.KNOWN)]


def test_a_trade_of_today_that_a_report_of_this_morning_lacks_is_no_missing_history():
    account = booked(told(Kind.BUY, "2025-03-03", 10, -500), told(Kind.SELL, "2026-11-20", -4, 300))
    report(account, (KO, "10"))
    assert open_of(account) == [(D(6), D(300), Why.KNOWN)]
    assert gains(account) == [("KO", D(4), D(100), Why.KNOWN)]


def test_an_assigned_put_makes_the_shares_cheaper_by_its_premium():
    account = booked(
        told(Kind.SELL, "2024-01-03", -1, 150, PUT, subtype="short"),
        told(Kind.OPTION_ASSIGNMENT, "2024-01-19", 1, 0, PUT, price=D(0)),
        told(Kind.BUY, "2024-01-19", 100, -6000, price=D(60)),
    )
    assert open_of(account) == [(D(100), D(5850), Why.KNOWN)]
    assert gains(account) == []


def test_an_assignment_whose_shares_are_not_in_the_books_has_no_known_gain():
    account = booked(
        told(Kind.SELL, "2024-01-03", -1, 150, PUT, subtype="short"),
        told(Kind.OPTION_ASSIGNMENT, "2024-01-19", 1, 0, PUT, price=D(0)),
    )
    assert gains(account) == [(PUT.symbol, D(-1), None, Why.NO_DELIVERY)]


def test_an_option_that_expires_worthless_ends_at_nothing():
    account = booked(
        told(Kind.BUY, "2024-01-03", 2, -130, PUT), told(Kind.OPTION_EXPIRATION, "2024-01-19", -2, 0, PUT, price=D(0))
    )
    assert gains(account) == [(PUT.symbol, D(2), D(-130), Why.KNOWN)]


def test_a_reverse_split_told_in_two_rows_is_one():
    account = booked(
        told(Kind.BUY, "2025-03-03", 100, -500),
        told(Kind.SPLIT, "2025-05-05", -100, 0, group_id="x", subtype="reverse"),
        told(Kind.SPLIT, "2025-05-05", 10, 0, group_id="x", subtype="reverse"),
    )
    assert open_of(account) == [(D(10), D(500), Why.KNOWN)]


def test_a_split_of_shares_some_of_which_are_older_than_the_history():
    account = booked(told(Kind.BUY, "2025-03-03", 10, -500), told(Kind.SPLIT, "2025-05-05", 30, 0))
    report(account, (KO, "60"))  # 20 and 10 became 60
    assert open_of(account) == [(D(40), None, Why.BEFORE), (D(20), D(500), Why.KNOWN)]


def test_a_new_name_carries_the_cost_on():
    account = booked(
        told(Kind.BUY, "2025-03-03", 10, -500),
        told(Kind.CORPORATE_ACTION, "2025-05-05", -10, 0, group_id="x", subtype="issue_change"),
        told(Kind.CORPORATE_ACTION, "2025-05-05", 10, 0, CHILD, group_id="x", subtype="issue_change"),
    )
    assert open_of(account) == []
    assert open_of(account, CHILD) == [(D(10), D(500), Why.KNOWN)]


def test_a_merger_for_cash_is_a_sale():
    account = booked(
        told(Kind.BUY, "2025-03-03", 10, -500),
        told(Kind.CORPORATE_ACTION, "2025-05-05", -10, 720, subtype="merger"),
    )
    assert gains(account) == [("KO", D(10), D(220), Why.KNOWN)]


def test_a_spin_off_names_its_parent_and_waits_for_the_share_of_the_cost():
    text = "KO(US1912161007) SPINOFF  1 FOR 4 (KOSPIN, COKE SPIN, US0000000000)"
    account = booked(
        told(Kind.BUY, "2025-03-03", 100, -5000),
        told(Kind.CORPORATE_ACTION, "2025-05-05", 25, 0, CHILD, subtype="spin_off", description=text),
    )
    assert open_of(account) == [(D(100), None, Why.SPIN_OFF)]
    assert open_of(account, CHILD) == [(D(25), None, Why.SPIN_OFF)]


def test_cash_for_a_fraction_of_unknown_size_is_listed_without_a_gain():
    account = booked(
        told(Kind.BUY, "2025-03-03", 15, -500),
        told(Kind.SPLIT, "2025-05-05", -14, 0, subtype="reverse", group_id="x"),
        told(Kind.CORPORATE_ACTION, "2025-05-05", None, "23.10", subtype="CIL", group_id="x"),
    )
    assert open_of(account) == [(D(1), D(500), Why.KNOWN)]
    assert gains(account) == [("KO", D(0), None, Why.FRACTION)]


def test_capital_given_back_is_no_dividend():
    account = booked(
        told(Kind.BUY, "2025-03-03", 10, -500),
        told(Kind.DIVIDEND, "2025-05-05", None, 40, description="Cash Dividend (Return of Capital)"),
        told(Kind.DIVIDEND, "2025-06-05", None, 30),
    )
    assert open_of(account) == [(D(10), D(460), Why.KNOWN)]


def test_shares_taken_along_keep_their_cost_when_both_sides_are_matched():
    old = booked(told(Kind.BUY, "2023-03-03", 10, -500), told(Kind.TRANSFER_OUT, "2025-05-05", -10, 0))
    new = an_account(old.connection, name="Rollover")
    booked(told(Kind.TRANSFER_IN, "2025-05-07", 10, 0), account=new)
    assert open_of(new) == [(D(10), None, Why.TRANSFERRED)]
    transfers.match(old.connection.user_id)
    assert open_of(new) == [(D(10), D(500), Why.KNOWN)]
    assert [each.lot.opened_on for each in lots(new).open] == [date(2023, 3, 3)]


def test_a_bond_costs_its_price_without_the_interest_that_came_due_with_it():
    bond = InstrumentRecord(asset_class=AssetClass.BOND, symbol="91282CHT1", multiplier=D(10))
    account = booked(told(Kind.BUY, "2025-03-03", 10, -9825, bond, gross_amount=D(-9750), fees=D(5)))
    assert open_of(account, bond) == [(D(10), D(9755), Why.KNOWN)]


def test_a_future_costs_what_it_stands_for_though_only_its_fee_is_paid():
    future = InstrumentRecord(asset_class=AssetClass.FUTURE, symbol="ESZ6", multiplier=D(50))
    account = booked(
        told(Kind.BUY, "2026-03-03", 1, "-2.10", future, price=D(5000), fees=D("2.10")),
        told(Kind.SELL, "2026-03-04", -1, "-2.10", future, price=D(5010), fees=D("2.10")),
    )
    assert gains(account) == [("ESZ6", D(1), D("495.80"), Why.KNOWN)]


def test_of_two_trades_of_a_day_the_earlier_counts_first():
    morning, evening = datetime(2025, 3, 3, 15, tzinfo=UTC), datetime(2025, 3, 3, 19, tzinfo=UTC)
    account = booked(
        told(Kind.BUY, "2025-03-03", 10, -520, occurred_at=evening, id="1"),
        told(Kind.BUY, "2025-03-03", 10, -500, occurred_at=morning, id="2"),
        told(Kind.SELL, "2025-03-04", -10, 600, id="3"),
    )
    assert gains(account) == [("KO", D(10), D(100), Why.KNOWN)]


def test_nobody_sees_the_lots_of_others_and_the_queries_stay_the_same(django_assert_num_queries):
    stranger = booked(told(Kind.BUY, "2025-03-03", 10, -500))
    account = booked(*(told(Kind.BUY, "2025-03-03", number, -500) for number in range(1, 40)))
    second = an_account(account.connection, name="Rollover")
    booked(told(Kind.BUY, "2025-03-03", 7, -70, AAPL), account=second)
    for owner, many in ((stranger, 1), (account, 40)):
        with django_assert_num_queries(7):
            assert len(lots(owner).open) == many
    assert {each.account.pk for each in lots(account, accounts=[second]).open} == {second.pk}


def test_another_users_account_is_not_taken_for_ones_own():
    account, other = booked(told(Kind.BUY, "2025-03-03", 10, -500)), an_account(a_connection())
    with pytest.raises(KeyError):
        lots(account, accounts=[other])
