"""What the hub makes of the rows of Robinhood's app: one example of each shape, and each that no rule understands."""

from datetime import date
from decimal import Decimal as D
from typing import Any
from uuid import uuid4

import pytest
import requests
from django.utils import timezone

from connections.brokers import robinhood_app, robinhood_cash, robinhood_endings, robinhood_orders
from connections.brokers.base import RateLimited, UnexpectedReply
from connections.brokers.calls import Operation
from connections.brokers.records import AssetClass, InstrumentRecord, ParkedRecord, RecordStatus, TransactionKind
from connections.brokers.robinhood_rows import NotUnderstood
from tests.connections.conftest import whole

JSON = b"Content-Type: application/json\r\n"
KIND = TransactionKind
POSTED, PENDING, VOID = RecordStatus.POSTED, RecordStatus.PENDING, RecordStatus.VOID
ACME, NEWCO = (InstrumentRecord(asset_class=AssetClass.EQUITY, symbol=symbol) for symbol in ("ACME", "NEWCO"))
PUT = InstrumentRecord(asset_class=AssetClass.OPTION, symbol="ACME  260320P00095000", multiplier=D(100))
URL = "https://api.robinhood.com/instruments/1111/"
ACCOUNT = "900000001"


def named(share_id):
    if share_id not in ("1111", "2222"):
        raise NotUnderstood("a share that Robinhood does not list")
    return ACME if share_id == "1111" else NEWCO


def dollars(amount, currency="USD"):
    return {"amount": amount, "currency_code": currency, "currency_id": "1072"}


def one(records):
    [record] = records
    return record


def told(records):
    """[(kind, net amount, id)]"""
    return [(record.kind, record.net_amount, record.external_id) for record in records]


def reason(records):
    record = one(records)
    assert isinstance(record, ParkedRecord)
    return record.reason


# --- Dividends --------------------------------------------------------------------------------------------------------


def dividend(**more):
    return {
        "id": "d1",
        "instrument": URL,
        "amount": "4.25",
        "gross_amount": "5.00",
        "withholding": "0.75",
        "nra_withholding": "0.00",
        "fee": "0.00",
        "payable_date": "2025-12-22",
        "paid_at": "2025-12-23T01:00:00.000000Z",
        "state": "paid",
    } | more


def of_dividend(**more):
    return list(robinhood_cash.dividends([dividend(**more)], named))


def test_a_dividend_is_its_gross_amount_with_tax_and_fee_apart():
    records = of_dividend(amount="4.05", withholding="0.50", nra_withholding="0.25", fee="0.20")
    assert told(records) == [
        (KIND.DIVIDEND, D("5.00"), "dividend:d1"),
        (KIND.TAX, D("-0.75"), "dividend:d1:tax"),
        (KIND.FEE, D("-0.20"), "dividend:d1:fee"),
    ]
    assert {record.instrument for record in records} == {ACME}
    assert {record.group_id for record in records} == {"d1"}


def test_it_is_paid_on_a_day_in_new_york():
    assert one(of_dividend(withholding="0", gross_amount="4.25")).traded_on == date(2025, 12, 22)
    assert one(of_dividend(withholding="0", gross_amount=None, paid_at=None)).traded_on == date(2025, 12, 22)


def test_a_reinvested_dividend_stands_in_one_group_with_the_order_it_paid_for():
    record = of_dividend(state="reinvested", drip_order_id="o1")[0]
    assert (record.group_id, record.status) == ("o1", POSTED)


@pytest.mark.parametrize(("state", "status"), [("pending", PENDING), ("voided", VOID), ("paid", POSTED)])
def test_only_a_paid_dividend_counts(state, status):
    assert {record.status for record in of_dividend(state=state)} == {status}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"state": "reinvesting"}, "unknown state 'reinvesting'"),
        ({"amount": "5.00"}, "not the gross amount less what was kept back"),
        ({"instrument": "https://api.robinhood.com/instruments/9999/"}, "does not list"),
    ],
)
def test_a_dividend_no_rule_understands_is_parked_whole(change, words):
    parked = one(of_dividend(**change))
    assert isinstance(parked, ParkedRecord)
    assert words in parked.reason
    assert (parked.external_id, parked.raw) == ("dividend:d1", dividend(**change))


@pytest.mark.parametrize("gone", ["state", "amount", "instrument"])
def test_a_row_without_a_field_it_must_have_is_a_changed_schema(gone):
    row = {name: value for name, value in dividend().items() if name != gone}
    with pytest.raises(UnexpectedReply, match="dividends"):
        list(robinhood_cash.dividends([row], named))


def test_a_row_of_another_form_among_others_is_parked_and_costs_only_itself():
    """What is told of long ago has forms of its own."""
    old = {name: value for name, value in dividend(id="d0").items() if name != "amount"}
    parked, record = robinhood_cash.dividends([old, dividend(withholding="0", amount="5.00")], named)
    assert isinstance(parked, ParkedRecord)
    assert (parked.external_id, parked.raw) == ("dividend:d0", old)
    assert "form the hub does not know" in parked.reason
    assert told([record]) == [(KIND.DIVIDEND, D("5.00"), "dividend:d1")]


# --- Transfers --------------------------------------------------------------------------------------------------------


def transfer(**more):
    return {
        "id": "t1",
        "ref_id": "r1",
        "transfer_type": "originated_ach",
        "amount": "500.00",
        "net_amount": "500.00",
        "currency": "usd",
        "direction": "pull",
        "state": "completed",
        "service_fee": "0.00",
        "originating_account_id": ACCOUNT,
        "receiving_account_id": "a-bank",
        "details": {"direction": "deposit", "enoki_amount": None, "purpose": None},
        "record_date": "2026-01-05",
        "created_at": "2026-01-05T15:00:00.000000Z",
        "updated_at": "2026-01-09T15:00:00.000000Z",
    } | more


def of_transfer(account=ACCOUNT, **more):
    return list(robinhood_cash.transfers([transfer(**more)], account, {account}))


def test_the_direction_is_in_the_details_whatever_side_is_named_first():
    assert told(of_transfer()) == [(KIND.DEPOSIT, D(500), "transfer:t1")]
    out = of_transfer(details={"direction": "withdraw"})
    assert told(out) == [(KIND.WITHDRAWAL, D(-500), "transfer:t1")]


def test_older_lists_say_it_themselves():
    row = {"id": "w1", "amount": "20", "direction": "withdraw", "state": "completed", "created_at": "2026-01-05"}
    record = one(robinhood_cash.transfers([row], ACCOUNT, {ACCOUNT}))
    assert (record.kind, record.net_amount, record.traded_on) == (KIND.WITHDRAWAL, D(-20), date(2026, 1, 5))


def test_a_fee_is_taken_out_of_the_amount():
    costs = {"service_fee": "8.75", "net_amount": "491.25"}
    assert told(of_transfer(**costs)) == [
        (KIND.DEPOSIT, D(500), "transfer:t1"),
        (KIND.FEE, D("-8.75"), "transfer:t1:fee"),
    ]
    out = of_transfer(**costs, details={"direction": "withdraw"})
    assert told(out) == [(KIND.WITHDRAWAL, D("-491.25"), "transfer:t1"), (KIND.FEE, D("-8.75"), "transfer:t1:fee")]


def test_a_match_of_a_retirement_account_is_income():
    for match in ("5.00", dollars("5.00")):
        records = of_transfer(details={"direction": "deposit", "enoki_amount": match})
        assert told(records)[1] == (KIND.OTHER, D("5.00"), "transfer:t1:match")


def test_a_returned_transfer_came_and_went():
    came, went = of_transfer(state="reversed")
    assert told([came, went]) == [
        (KIND.DEPOSIT, D(500), "transfer:t1"),
        (KIND.WITHDRAWAL, D(-500), "transfer:t1:reversed"),
    ]
    assert (came.traded_on, went.traded_on) == (date(2026, 1, 5), date(2026, 1, 9))


def test_between_own_accounts_it_is_in_the_books_of_both():
    inside = {"transfer_type": "internal", "receiving_account_id": "900000002", "details": {}}
    assert told(of_transfer(**inside)) == [(KIND.TRANSFER_OUT, D(-500), f"transfer:t1:{ACCOUNT}")]
    assert told(of_transfer("900000002", **inside)) == [(KIND.TRANSFER_IN, D(500), "transfer:t1:900000002")]


@pytest.mark.parametrize(
    ("state", "status"), [("pending", PENDING), ("failed", VOID), ("cancelled", VOID), ("canceled", VOID)]
)
def test_only_a_completed_transfer_counts(state, status):
    assert one(of_transfer(state=state)).status is status


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"state": "on_its_way"}, "unknown state"),
        ({"details": {"direction": "sideways"}}, "unknown direction 'sideways'"),
        ({"currency": "eur"}, "a transfer in eur"),
        ({"net_amount": "499.00"}, "do not add up"),
        ({"transfer_type": "internal", "originating_account_id": "a-card"}, "from which account to which"),
        ({"state": "reversed", "service_fee": "5.00", "net_amount": "495.00"}, "reversed, with a fee"),
    ],
)
def test_a_transfer_no_rule_understands_is_parked(change, words):
    assert words in reason(of_transfer(**change))


@pytest.mark.parametrize(
    ("change", "is_told"),
    [
        ({}, True),
        ({"id": "t1"}, True),
        ({"ref_id": "t1", "amount": "1"}, True),
        ({"amount": "500.01"}, False),
        ({"direction": "withdraw"}, False),
        ({"created_at": "2026-01-07T15:00:00Z"}, False),
    ],
)
def test_a_wire_that_the_unified_list_tells_too_counts_once(change, is_told):
    wire = {"id": "w9", "amount": "500.0", "direction": "deposit", "created_at": "2026-01-05T20:00:00Z"} | change
    assert robinhood_cash.told_already(wire, [transfer()]) is is_told


def test_deposit_boosts_are_income():
    row = {"id": "b1", "amount": dollars("1.50"), "title": "Deposit boost", "created_at": "2026-01-05T15:00:00Z"}
    assert told(robinhood_cash.boosts([row])) == [(KIND.OTHER, D("1.50"), "boost:b1")]


# --- Interest and fees ------------------------------------------------------------------------------------------------


def test_interest_of_three_kinds_has_its_signs():
    sweep: dict[str, Any] = {"id": "s1", "amount": dollars("1.23"), "direction": "credit", "pay_date": "2025-12-31"}
    loan = {"id": "l1", "amount": dollars("0.40"), "symbol": "ACME", "record_date": "2025-12-30"}
    margin = {"id": "m1", "amount": "9.00", "credit": "1.00", "billing_due_date": "2025-12-29"}
    assert told(robinhood_cash.sweeps([sweep])) == [(KIND.INTEREST, D("1.23"), "sweep:s1")]
    assert told(robinhood_cash.sweeps([sweep | {"direction": "debit"}])) == [(KIND.INTEREST, D("-1.23"), "sweep:s1")]
    lent = one(robinhood_cash.stock_loans([loan]))
    assert (lent.net_amount, lent.subtype, lent.instrument) == (D("0.40"), "lending", ACME)
    owed = one(robinhood_cash.margin_interest([margin]))
    assert (owed.net_amount, owed.traded_on) == (D("-8.00"), date(2025, 12, 29))
    assert one(robinhood_cash.sweeps([sweep | {"reason": "interest_payment_voided"}])).status is VOID
    assert "unknown direction" in reason(robinhood_cash.sweeps([sweep | {"direction": "sideways"}]))
    assert "an amount in EUR" in reason(robinhood_cash.sweeps([sweep | {"amount": dollars("1", "EUR")}]))


def gold(**more):
    return {
        "id": "g1",
        "amount": "5.00",
        "credit": "0.00",
        "date": "2026-01-06",
        "state": "posted",
        "refunds": [],
    } | more


def test_fees_are_what_was_taken_less_what_was_credited():
    assert told(robinhood_cash.gold_fees([gold(credit="1.50")])) == [(KIND.FEE, D("-3.50"), "gold:g1")]
    receipt = {"id": "a1", "amount": dollars("0.24"), "instrument": URL, "paid_at": None, "record_date": "2026-01-07"}
    fee = one(robinhood_cash.adr_fees([receipt | {"state": "paid"}], named))
    assert (fee.kind, fee.net_amount, fee.instrument) == (KIND.FEE, D("-0.24"), ACME)
    assert one(robinhood_cash.gold_fees([gold(state="voided")])).status is VOID
    assert "unknown state" in reason(robinhood_cash.gold_fees([gold(state="waived")]))
    assert "refund" in reason(robinhood_cash.gold_fees([gold(refunds=[{"id": "x"}])]))


# --- Splits and assets ------------------------------------------------------------------------------------------------


def split(**more):
    about = {"effective_date": "2026-01-05", "old_instrument_id": "1111", "new_instrument_id": "1111"}
    return {
        "id": "s1",
        "old_shares": "5.00000000",
        "new_shares": "20.00000000",
        "fractional_remainder": "0.00",
        "paid_at": "2026-01-06T10:00:00Z",
        "state": "paid",
        "split": about | more.pop("split", {}),
    } | more


def of_split(**more):
    return list(robinhood_cash.splits([split(**more)], named))


def test_a_split_brings_or_takes_the_difference():
    record = one(of_split())
    assert (record.kind, record.quantity, record.net_amount) == (KIND.SPLIT, D(15), 0)
    assert (record.traded_on, record.external_id) == (date(2026, 1, 5), "split:s1")
    assert one(of_split(new_shares="1")).quantity == D(-4)


def test_shares_that_became_another_instrument_go_and_come():
    went, came = of_split(split={"new_instrument_id": "2222"})
    assert [(each.kind, each.instrument, each.quantity) for each in (went, came)] == [
        (KIND.CORPORATE_ACTION, ACME, D(-5)),
        (KIND.CORPORATE_ACTION, NEWCO, D(20)),
    ]


def test_a_split_that_leaves_a_fraction_or_is_of_an_unknown_state_is_parked():
    assert "left over" in reason(of_split(fractional_remainder="0.50"))
    assert "unknown state" in reason(of_split(state="rounding"))
    assert one(of_split(state="pending")).status is PENDING


def acat(*assets, **more):
    return {
        "id": "m1",
        "phase": "completed",
        "requested_at": "2026-01-02T10:00:00Z",
        "settlement_date": "2026-01-08",
        "contra_broker_name": "Interactive Brokers",
        "assets": list(assets),
    } | more


def asset(**more):
    return {
        "asset_type": "equity",
        "asset_id": "x1",
        "instrument_id": "1111",
        "iso_currency_code": None,
        "quantity": "40",
        "direction": "incoming",
    } | more


def of_acat(*assets, **more):
    return list(robinhood_cash.acats([acat(*assets, **more)], named))


def test_assets_come_one_by_one_without_cost():
    money = asset(asset_type="cash", asset_id=None, instrument_id=None, iso_currency_code="USD", quantity="12.34")
    shares, cash = of_acat(asset(), money)
    assert (shares.kind, shares.quantity, shares.net_amount, shares.price) == (KIND.TRANSFER_IN, D(40), 0, None)
    assert (shares.traded_on, shares.description) == (date(2026, 1, 8), "Interactive Brokers")
    assert (cash.kind, cash.net_amount, cash.quantity) == (KIND.TRANSFER_IN, D("12.34"), None)
    assert [shares.external_id, cash.external_id] == ["acats:m1:x1", "acats:m1:1"]
    gone = one(of_acat(asset(direction="outgoing")))
    assert (gone.kind, gone.quantity) == (KIND.TRANSFER_OUT, D(-40))


def test_an_asset_no_rule_understands_is_parked_beside_the_others():
    understood, odd = of_acat(asset(), asset(asset_id="x2", asset_type="option"))
    assert understood.kind is KIND.TRANSFER_IN
    assert isinstance(odd, ParkedRecord)
    assert (odd.external_id, odd.reason) == ("acats:m1:x2", "unknown asset_type 'option'")
    assert "unknown direction" in reason(of_acat(asset(direction="sideways")))
    assert "money in EUR" in reason(of_acat(asset(iso_currency_code="EUR")))
    assert "unknown phase" in reason(of_acat(asset(), phase="somewhere"))
    assert one(of_acat(asset(), phase="rejected")).status is VOID


def coins(**more):
    return {
        "id": "c1",
        "amount": dollars("0.01", "BTC"),
        "currency_code": "BTC",
        "direction": "receive",
        "created_at": "2026-01-05T15:00:00Z",
        "history_view_model": {"item_state": {"state": "completed"}},
    } | more


def test_coins_from_a_wallet_are_believed_where_they_are_counted():
    came = one(robinhood_cash.coin_transfers([coins()]))
    assert (came.kind, came.quantity, came.net_amount) == (KIND.TRANSFER_IN, D("0.01"), 0)
    assert one(robinhood_cash.coin_transfers([coins(direction="send")])).quantity == D("-0.01")
    assert "how many coins" in reason(robinhood_cash.coin_transfers([coins(amount=dollars("416.00"))]))
    assert "unknown state" in reason(robinhood_cash.coin_transfers([coins(history_view_model=None)]))


def test_what_companies_did_to_options_is_kept_for_people_to_see():
    row = {"id": "x1", "type": "reverse_stock_split"}
    assert "reverse_stock_split" in reason(robinhood_cash.option_actions([row]))


# --- Ends of options --------------------------------------------------------------------------------------------------


def event(**more):
    return {
        "id": "e1",
        "type": "assignment",
        "state": "confirmed",
        "direction": "debit",
        "quantity": "1.0000",
        "total_cash_amount": "9500.00",
        "event_date": "2026-03-20",
        "option_id": "p1",
        "equity_components": [
            {"id": "k1", "symbol": "ACME", "side": "buy", "price": "95.0000", "quantity": "100.00000000"}
        ],
        "created_at": "2026-03-21T02:00:00Z",
    } | more


def of_event(net=None, **more):
    return list(robinhood_endings.endings([event(**more)], lambda option_id: PUT, net or {}))


NOTHING: dict[str, Any] = {"type": "expiration", "total_cash_amount": "0.00", "equity_components": []}


def test_an_assigned_put_goes_and_its_shares_come_at_the_strike():
    option, shares = of_event()
    assert (option.kind, option.quantity, option.price, option.net_amount) == (KIND.OPTION_ASSIGNMENT, 1, 0, 0)
    assert (shares.kind, shares.quantity, shares.price, shares.net_amount) == (KIND.BUY, 100, 95, D(-9500))
    assert [option.external_id, shares.external_id] == ["optevent:e1", "optevent:e1:k1"]
    assert option.group_id == shares.group_id == "e1"
    assert (shares.traded_on, shares.settled_on) == (date(2026, 3, 20), date(2026, 3, 23))


def test_an_exercised_option_was_held():
    sale = [{"id": "k1", "symbol": "ACME", "side": "sell", "price": "95", "quantity": "100"}]
    option, shares = of_event(type="exercise", direction="credit", equity_components=sale)
    assert (option.kind, option.quantity) == (KIND.OPTION_EXERCISE, -1)
    assert (shares.kind, shares.quantity, shares.net_amount) == (KIND.SELL, -100, D(9500))


def test_without_shares_the_cash_comes_with_the_option():
    option = one(of_event(type="exercise", direction="credit", total_cash_amount="120.00", equity_components=[]))
    assert option.net_amount == D("120.00")


@pytest.mark.parametrize(("traded", "quantity"), [(D(-2), D(1)), (D(2), D(-1))])
def test_what_expired_was_owed_or_held_as_the_orders_say(traded, quantity):
    assert one(of_event({PUT.symbol: traded}, **NOTHING)).quantity == quantity


def option_order(number, side, chain="ACME", **more):
    done = {"id": f"x{number}", "price": "1.50", "quantity": "1", "timestamp": "2026-01-05T16:00:00Z"}
    about = {"option_type": "put", "strike_price": "95", "expiration_date": "2026-03-20", "ratio_quantity": 1}
    legs = [about | {"side": side, "position_effect": "open", "executions": [done]}]
    return {
        "id": f"o{number}",
        "chain_symbol": chain,
        "state": "filled",
        "processed_quantity": "1",
        "legs": legs,
    } | more


def test_an_order_that_is_not_understood_leaves_open_what_its_shares_options_came_to():
    understood = [option_order(1, "sell"), option_order(2, "buy", chain="OTHER"), option_order(3, "sell")]
    assert robinhood_endings.traded(robinhood_orders.options(understood)) == {
        PUT.symbol: D(-2),
        "OTHER 260320P00095000": D(1),
    }
    odd = option_order(4, "buy", state="thinking")
    assert robinhood_endings.traded(robinhood_orders.options([*understood, odd])) == {"OTHER 260320P00095000": D(1)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (NOTHING, "held or owed"),
        ({"type": "conversion"}, "unknown type 'conversion'"),
        ({"state": "thinking"}, "unknown type 'assignment' or state 'thinking'"),
        ({"direction": None}, "unknown direction"),
        ({"total_cash_amount": "9400.00"}, "do not add up"),
        ({"equity_components": [{"id": "k", "symbol": "A", "side": "lend", "price": "1", "quantity": "1"}]}, "side"),
    ],
)
def test_an_end_no_rule_understands_is_parked(change, words):
    parked = one(of_event(**change))
    assert isinstance(parked, ParkedRecord)
    assert words in parked.reason
    assert parked.external_id == "optevent:e1"


@pytest.mark.parametrize(("state", "status"), [("queued", PENDING), ("voided", VOID)])
def test_only_a_confirmed_end_counts(state, status):
    assert {record.status for record in of_event(state=state)} == {status}


# --- Orders, where the app tells more than the official server --------------------------------------------------------


def order(**fill):
    stamp = "2026-01-05T15:31:02.120000Z"
    done = {"id": "f1", "price": "104.47", "quantity": "0.040680", "timestamp": stamp, "fees": "0.00"}
    return {
        "id": "o1",
        "instrument_id": "1111",
        "side": "buy",
        "state": "filled",
        "cumulative_quantity": "0.040680",
        "executions": [done | fill],
    }


def of_order(**fill):
    return one(robinhood_orders.shares([order(**fill)], named=lambda row: named(row["instrument_id"])))


def test_an_execution_is_what_it_really_moved_and_settles_when_it_really_does():
    record = of_order(rounded_notional="4.26", settlement_date="2026-01-07", trade_execution_date="2026-01-05")
    assert (record.instrument, record.net_amount, record.settled_on) == (ACME, D("-4.26"), date(2026, 1, 7))
    less = of_order()
    assert (less.net_amount, less.settled_on) == (D("-4.25"), date(2026, 1, 6))
    assert record.external_id == less.external_id == "o1:f1"


def test_fees_that_are_told_for_the_order_only_are_shared_out():
    fills = [
        {"id": name, "price": "10", "quantity": quantity, "timestamp": "2020-01-06T15:31:02Z"}
        for name, quantity in (("f1", "3"), ("f2", "1"))
    ]
    whole_order = order() | {"side": "sell", "cumulative_quantity": "4", "executions": fills, "fees": "0.05"}
    assert told(robinhood_orders.shares([whole_order], named=lambda row: ACME)) == [
        (KIND.SELL, D("29.96"), "o1:f1"),
        (KIND.SELL, D("9.99"), "o1:f2"),
    ]


def test_an_order_of_a_share_nobody_knows_is_parked():
    odd = one(
        robinhood_orders.shares([order() | {"instrument_id": "9999"}], named=lambda row: named(row["instrument_id"]))
    )
    assert isinstance(odd, ParkedRecord)
    assert odd.external_id == "o1"


# --- Pacing -----------------------------------------------------------------------------------------------------------


def test_no_more_than_two_requests_a_second_are_sent(answering):
    wire, url = robinhood_app.wire(uuid4()), answering(whole(b"{}", JSON), hang_up=True)

    def ask():
        return wire.exchange(Operation.HOLDINGS, lambda: requests.get(url, stream=True, timeout=5))

    for _ in range(4):
        assert ask().status == 200
    with pytest.raises(RateLimited, match="used up") as limited:
        ask()
    assert limited.value.retry_at is not None
    assert (limited.value.retry_at - timezone.now()).total_seconds() <= 2.5
