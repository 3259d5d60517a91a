"""What the hub makes of Schwab's rows: one example of each shape, with its signs and its kind."""

from datetime import date
from decimal import Decimal as D

import pytest

from connections.brokers import schwab_rows
from connections.brokers.base import UnexpectedReply
from connections.brokers.records import AssetClass, ParkedRecord, RecordStatus, TransactionKind

KO = {"assetType": "EQUITY", "symbol": "KO", "closingPrice": D("62.1"), "type": "COMMON_STOCK"}
BND = {
    "assetType": "COLLECTIVE_INVESTMENT",
    "symbol": "BND",
    "cusip": "921937835",
    "description": "VANGUARD TOTAL BOND MARKET ETF",
    "type": "EXCHANGE_TRADED_FUND",
}
PUT = {
    "assetType": "OPTION",
    "symbol": "KO    260116P00060000",
    "description": "COCA COLA CO 01/16/2026 $60 Put",
    "putCall": "PUT",
    "strikePrice": D("60.0"),
    "underlyingSymbol": "KO",
    "optionPremiumMultiplier": 100,
}
DOLLARS = {"assetType": "CURRENCY", "symbol": "CURRENCY_USD"}


def item(instrument, amount, cost, price=None, **more):
    row = {"instrument": instrument, "amount": D(amount), "cost": D(cost), **more}
    return row if price is None else {**row, "price": D(price)}


def fee(cost, kind="COMMISSION"):
    return item(DOLLARS, str(abs(D(cost))), cost, feeType=kind)


def row(kind, net, *items, activity=1, **more):
    return {
        "activityId": activity,
        "time": "2025-06-10T14:31:07+0000",
        "type": kind,
        "status": "VALID",
        "tradeDate": "2025-06-10T04:00:00+0000",
        "netAmount": D(net),
        "transferItems": list(items),
        **more,
    }


def cash(kind, net, description="", **more):
    return row(kind, net, item(DOLLARS, net, "0.0"), description=description, **more)


def read(*rows):
    return list(schwab_rows.transactions(rows))


def test_a_sale_keeps_its_signs_and_collects_its_fee_lines():
    [sale] = read(
        row(
            "TRADE",
            "1559.95",
            fee("0.0"),
            fee("-0.04", "SEC_FEE"),
            fee("-0.01", "TAF_FEE"),
            item(KO, "-25.0", "1560.0", "62.4", positionEffect="CLOSING"),
            orderId=1003300111222,
        )
    )
    assert sale.kind == TransactionKind.SELL
    assert (sale.quantity, sale.price, sale.gross_amount) == (D("-25.0"), D("62.4"), D("1560.0"))
    assert (sale.fees, sale.net_amount) == (D("0.05"), D("1559.95"))
    assert sale.group_id == "1003300111222"


@pytest.mark.parametrize(
    ("rows", "kind", "subtype"),
    [
        ([row("TRADE", "-620", item(KO, "10", "-620", "62", positionEffect="OPENING"))], "buy", ""),
        ([row("TRADE", "-620", item(KO, "10", "-620", "62", positionEffect="CLOSING"))], "buy", "cover"),
        ([row("TRADE", "620", item(KO, "-10", "620", "62", positionEffect="OPENING"))], "sell", "short"),
        ([row("TRADE", "-4.38", item(BND, "0.06", "-4.38", "73"), description="Dividend Reinvest")], "buy", "reinvest"),
        ([row("TRADE", "0", item(KO, "10", "-620"), description="System transfer")], "transfer_in", "internal"),
        ([cash("DIVIDEND_OR_INTEREST", "4.38", "Ordinary Dividend~BND")], "dividend", "Ordinary Dividend"),
        ([cash("DIVIDEND_OR_INTEREST", "0.09", "SCHWAB1 INT 05/01-05/30")], "interest", ""),
        ([cash("DIVIDEND_OR_INTEREST", "-3.10", "MARGIN INTEREST 05/01-05/30")], "interest", "margin"),
        ([cash("JOURNAL", "-1.31", "W-8 Withholding~BND")], "tax", "withholding"),
        ([cash("JOURNAL", "-0.47", "ADR FEE~NOK")], "fee", ""),
        ([cash("JOURNAL", "-30", "JOURNAL TO TAXI AND COFFEE LLC")], "transfer_out", ""),
        ([cash("JOURNAL", "-30", "FOREIGN TAXES PAID")], "tax", ""),
        ([cash("JOURNAL", "500", "JOURNAL FRM ...678")], "transfer_in", ""),
        ([cash("JOURNAL", "-500", "JOURNAL TO ...678")], "transfer_out", ""),
        ([row("JOURNAL", "0", item(KO, "10", "0"))], "transfer_in", "in_kind"),
        ([cash("ACH_RECEIPT", "1000")], "deposit", ""),
        ([cash("ACH_DISBURSEMENT", "-1000")], "withdrawal", ""),
        ([cash("WIRE_IN", "1000")], "deposit", ""),
        ([cash("WIRE_OUT", "-1000")], "withdrawal", ""),
        ([cash("ELECTRONIC_FUND", "10", "ACH Credit Received")], "deposit", ""),
        ([cash("ELECTRONIC_FUND", "-10")], "withdrawal", ""),
        ([row("RECEIVE_AND_DELIVER", "0", item(KO, "90", "0"), description="COCA COLA CO FORWARD SPLIT")], "split", ""),
        ([row("RECEIVE_AND_DELIVER", "0", item(KO, "10", "0"), description="SPIN-OFF")], "corporate_action", ""),
        ([row("RECEIVE_AND_DELIVER", "0", item(KO, "10", "0"))], "transfer_in", "in_kind"),
        (
            [row("RECEIVE_AND_DELIVER", "0", item(PUT, "1", "0"), description="Removed due to Expiration PUT KO")],
            "option_expiration",
            "",
        ),
    ],
)
def test_each_kind_of_row_has_its_word(rows, kind, subtype):
    [record] = read(*rows)
    assert (record.kind, record.subtype) == (kind, subtype)


def test_a_put_that_closes_at_nothing_while_its_shares_come_at_the_strike_was_assigned():
    closed, shares = read(
        row("RECEIVE_AND_DELIVER", "0", item(PUT, "1", "0", "0", positionEffect="CLOSING"), activity=1),
        row("TRADE", "-6000", item(KO, "100", "-6000", "60.00", positionEffect="OPENING"), activity=2),
    )
    assert closed.kind == TransactionKind.OPTION_ASSIGNMENT
    assert shares.kind == TransactionKind.BUY


def test_an_assignment_told_in_one_delivery_closes_the_option_and_buys_the_shares():
    closed, shares = read(
        row("RECEIVE_AND_DELIVER", "-6000", item(PUT, "1", "0", "0"), item(KO, "100", "-6000", "60.00"), activity=7)
    )
    assert (closed.kind, closed.net_amount) == (TransactionKind.OPTION_ASSIGNMENT, 0)
    assert (shares.kind, shares.net_amount) == (TransactionKind.BUY, -6000)
    assert closed.group_id == shares.group_id == "7"


def test_shares_called_away_in_a_delivery_of_their_own_are_sold():
    call = {**PUT, "symbol": "KO    260116C00060000", "putCall": "CALL"}
    shares, closed = read(
        row("RECEIVE_AND_DELIVER", "6000", item(KO, "-100", "6000", "60.00"), activity=1),
        row("RECEIVE_AND_DELIVER", "0", item(call, "1", "0", "0"), activity=2),
    )
    assert (shares.kind, closed.kind) == (TransactionKind.SELL, TransactionKind.OPTION_ASSIGNMENT)


def test_shares_transferred_with_their_cost_in_the_row_are_not_bought():
    [moved] = read(row("RECEIVE_AND_DELIVER", "0", item(KO, "100", "-5000", "50.00")))
    assert (moved.kind, moved.net_amount) == (TransactionKind.TRANSFER_IN, 0)


def test_several_things_moved_with_their_costs_move_no_money():
    moved = read(row("TRADE", "0", item(KO, "10", "-620"), item(BND, "1", "-73"), description="System transfer"))
    assert {(leg.kind, leg.subtype, leg.net_amount) for leg in moved} == {("transfer_in", "internal", D(0))}


def test_legs_that_do_not_add_up_to_their_row_are_parked():
    [parked] = read(row("TRADE", "-700", item(KO, "10", "-620", "62"), item(BND, "1", "-73", "73")))
    assert isinstance(parked, ParkedRecord)
    assert "add up" in parked.reason


def test_both_rows_of_a_reverse_split_belong_together():
    old, new = read(
        row("RECEIVE_AND_DELIVER", "0", item(KO, "-100", "0"), activity=1, description="KOREVERSE SPLIT EFF: 06/10/25"),
        row("RECEIVE_AND_DELIVER", "0", item({**KO, "symbol": "KON"}, "10", "0"), activity=2, description="COCA COLA"),
    )
    assert {old.kind, new.kind} == {TransactionKind.SPLIT}
    assert old.group_id == new.group_id != ""


def test_cash_is_never_a_holding_and_its_line_never_a_fee():
    [deposit] = read(cash("ACH_RECEIPT", "1000.0"))
    assert deposit.instrument is None
    assert (deposit.net_amount, deposit.fees) == (D("1000.0"), D(0))


def test_a_dividend_finds_its_security_after_the_tilde_or_by_name():
    by_name, by_tilde = read(
        row("TRADE", "-73", item(BND, "1", "-73", "73"), activity=1),
        cash("DIVIDEND_OR_INTEREST", "4.38", "VANGUARD TOTAL BOND MARKET ETF", activity=2),
        cash("DIVIDEND_OR_INTEREST", "4.38", "Qualified Dividend~BRK/B", activity=3),
    )[1:]
    assert (by_name.instrument.symbol, by_tilde.instrument.symbol) == ("BND", "BRK.B")


def test_midnight_in_new_york_is_that_day_in_winter_and_in_summer():
    winter, summer = read(
        cash("ACH_RECEIPT", "1", tradeDate="2025-01-15T05:00:00+0000", activity=1),
        cash("ACH_RECEIPT", "1", tradeDate="2025-07-15T04:00:00+0000", activity=2),
    )
    assert (winter.traded_on, summer.traded_on) == (date(2025, 1, 15), date(2025, 7, 15))


def test_a_bond_is_counted_in_thousands_of_face_value_and_priced_per_hundred():
    note = {"assetType": "FIXED_INCOME", "symbol": "91282CJJ1", "cusip": "91282CJJ1", "type": "US_TREASURY_NOTE"}
    [bought] = read(row("TRADE", "-9950", item(note, "10", "-9950", "99.5")))
    assert bought.instrument.asset_class == AssetClass.BOND
    assert bought.quantity * bought.price * bought.instrument.multiplier == D(9950)


@pytest.mark.parametrize(
    ("word", "status"),
    [("VALID", RecordStatus.POSTED), ("PENDING", RecordStatus.PENDING), ("INVALID", RecordStatus.VOID)],
)
def test_the_brokers_status_is_kept(word, status):
    [record] = read(cash("ACH_RECEIPT", "1", status=word))
    assert record.status == status


def test_the_margin_memorandum_moves_no_cash():
    [record] = read(cash("SMA_ADJUSTMENT", "12345.67"))
    assert record.net_amount == 0


@pytest.mark.parametrize(
    "odd",
    [
        cash("A_TYPE_OF_TOMORROW", "5"),
        cash("ACH_RECEIPT", "5", status="A_STATUS_OF_TOMORROW"),
        row("TRADE", "5", item({"assetType": "A_THING_OF_TOMORROW", "symbol": "X"}, "1", "-5", "5")),
        row("TRADE", "5", item({"assetType": "A_THING_OF_TOMORROW", "symbol": "X", "description": "X"}, "1", "-5")),
    ],
)
def test_a_row_no_rule_understands_is_parked_whole_and_the_others_go_on(odd):
    parked, deposit = read(odd, cash("ACH_RECEIPT", "1", activity=2))
    assert isinstance(parked, ParkedRecord)
    assert parked.raw is odd
    assert "TOMORROW" in parked.reason
    assert deposit.net_amount == 1


@pytest.mark.parametrize("missing", ["activityId", "time", "type", "netAmount"])
def test_a_missing_field_is_a_changed_form_and_not_a_guess(missing):
    broken = cash("ACH_RECEIPT", "1")
    del broken[missing]
    with pytest.raises(UnexpectedReply):
        read(broken)


def test_a_short_position_is_negative_and_its_price_comes_from_its_value():
    held = schwab_rows.position(
        {
            "longQuantity": D("0.0"),
            "shortQuantity": D("2.0"),
            "averagePrice": D("3.1034"),
            "marketValue": D("-626.0"),
            "currentDayProfitLoss": D("14.0"),
            "instrument": {"assetType": "OPTION", "symbol": "AAPL  270115C00240000", "cusip": "0AAPL.AF70240000"},
        }
    )
    assert (held.quantity, held.price, held.market_value) == (D(-2), D("3.13"), D(-626))
    assert held.instrument.cusip == ""


@pytest.mark.parametrize(
    ("quantity", "value", "price"),
    [("163.1415", "57422.55", "351.98"), ("10", "28.55", "2.855"), ("0.0004", "0.14", "350"), ("3", "10", "3.333")],
)
def test_the_price_behind_a_value_is_the_simplest_that_gives_it(quantity, value, price):
    row = {"longQuantity": D(quantity), "shortQuantity": 0, "marketValue": D(value), "instrument": KO}
    assert schwab_rows.position(row).price == D(price)


def test_balances_fall_back_when_a_margin_account_lacks_them():
    said = schwab_rows.balance({"type": "MARGIN", "currentBalances": {}}, {"currentLiquidationValue": D("11574.0")})
    assert said.net_asset_value == D("11574.0")
    assert said.cash is None
    assert said.market_value is None


def test_a_position_in_an_unknown_kind_of_thing_is_a_changed_form_and_no_crash():
    thing = {"longQuantity": D(1), "shortQuantity": D(0), "instrument": {"assetType": "OF_TOMORROW", "symbol": "X"}}
    with pytest.raises(UnexpectedReply), schwab_rows.understood("positions"):
        schwab_rows.position(thing)


def test_a_row_with_one_odd_leg_is_parked_whole_and_none_of_it_is_booked():
    odd = {"assetType": "A_THING_OF_TOMORROW", "symbol": "X"}
    [parked] = read(row("TRADE", "-1240", item(KO, "10", "-620", "62"), item(odd, "10", "-620", "62")))
    assert isinstance(parked, ParkedRecord)
