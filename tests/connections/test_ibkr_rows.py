"""What the hub makes of the rows of a Flex statement: one example of each shape."""

from datetime import UTC, date, datetime
from decimal import Decimal as D

import pytest

from connections.brokers.records import ParkedRecord, RecordStatus, TransactionRecord
from tests.connections.flex_statements import (
    ACTION,
    CASH,
    EURUSD,
    OPTION,
    SALES_TAX,
    TRADE,
    TRANSACTION_TAX,
    TRANSFER,
    one,
    read,
    told,
)


@pytest.mark.parametrize(
    ("section", "row", "changes", "expected"),
    [
        ("Trades", TRADE, {}, ("buy", "", "ACME", D(10), D(-1001), "USD")),
        ("Trades", TRADE, {"netCash": ""}, ("buy", "", "ACME", D(10), D(-1001), "USD")),
        ("Trades", TRADE, {"notes": "R;P"}, ("buy", "reinvest", "ACME", D(10), D(-1001), "USD")),
        ("Trades", TRADE, {"openCloseIndicator": "C"}, ("buy", "cover", "ACME", D(10), D(-1001), "USD")),
        ("Trades", TRADE, {"symbol": "BRK B"}, ("buy", "", "BRK.B", D(10), D(-1001), "USD")),
        ("Trades", TRADE, {"transactionType": "FracShare"}, ("buy", "", "ACME", D(10), D(-1001), "USD")),
        (
            "Trades",
            TRADE,
            {"buySell": "SELL", "quantity": "-10", "proceeds": "1,000", "netCash": "999"},
            ("sell", "short", "ACME", D(-10), D(999), "USD"),
        ),
        ("Trades", TRADE, {"assetCategory": "FUT", "netCash": ""}, ("buy", "", "ACME", D(10), D(-1), "USD")),
        ("Trades", TRADE, {"assetCategory": "CFD", "netCash": "-1"}, ("buy", "", "ACME", D(10), D(-1), "USD")),
        (
            "Trades",
            TRADE | OPTION,
            {"transactionType": "BookTrade", "notes": "Ep", "tradePrice": "0", "netCash": "0"},
            ("option_expiration", "", "ACME  261016P00090000", D(10), D(0), "USD"),
        ),
        (
            "Trades",
            TRADE | OPTION,
            {"transactionType": "BookTrade", "notes": "A", "netCash": "0"},
            ("option_assignment", "", "ACME  261016P00090000", D(10), D(0), "USD"),
        ),
        (
            "Trades",
            TRADE | OPTION,
            {"transactionType": "BookTrade", "notes": "C;Ex", "netCash": "0"},
            ("option_exercise", "", "ACME  261016P00090000", D(10), D(0), "USD"),
        ),
        (
            "Trades",
            TRADE,
            {"transactionType": "BookTrade", "notes": "A"},
            ("buy", "assignment", "ACME", D(10), D(-1001), "USD"),
        ),
        (
            "Trades",
            TRADE | OPTION,
            {"symbol": "P ACM 20261016 90 M", "netCash": "-5"},
            ("buy", "", "ACME  261016P00090000", D(10), D(-5), "USD"),
        ),
        ("CashTransactions", CASH, {}, ("dividend", "", "ACME", None, D(24), "USD")),
        ("CashTransactions", CASH, {"amount": "-24"}, ("dividend", "", "ACME", None, D(-24), "USD")),
        (
            "CashTransactions",
            CASH,
            {"type": "Payment In Lieu Of Dividends"},
            ("dividend", "in_lieu", "ACME", None, D(24), "USD"),
        ),
        (
            "CashTransactions",
            CASH,
            {"type": "Withholding Tax", "amount": "-3.6"},
            ("tax", "withholding", "ACME", None, D("-3.6"), "USD"),
        ),
        *(
            ("CashTransactions", CASH, {"type": word, "symbol": "", "conid": "", "amount": amount}, (*known, "USD"))
            for word, amount, known in [
                ("Broker Interest Paid", "-5", ("interest", "margin", None, None, D(-5))),
                ("Broker Interest Received", "5", ("interest", "", None, None, D(5))),
                ("Other Fees", "-10", ("fee", "", None, None, D(-10))),
                ("Advisor Fees", "1.5", ("fee", "advisor", None, None, D("1.5"))),
                ("Deposits/Withdrawals", "100", ("deposit", "", None, None, D(100))),
                ("Deposits & Withdrawals", "-100", ("withdrawal", "", None, None, D(-100))),
            ]
        ),
        ("Transfers", TRANSFER, {}, ("transfer_in", "in_kind", "ACME", D(5), D(0), "USD")),
        (
            "Transfers",
            TRANSFER,
            {"direction": "OUT", "quantity": "5"},
            ("transfer_out", "in_kind", "ACME", D(-5), D(0), "USD"),
        ),
        (
            "Transfers",
            TRANSFER,
            {"type": "INTERNAL", "direction": "OUT", "quantity": "0", "cashTransfer": "-300", "symbol": "--"},
            ("transfer_out", "internal", None, None, D(-300), "USD"),
        ),
        ("CorporateActions", ACTION, {}, ("split", "", "ACME", D(90), D(0), "USD")),
        (
            "CorporateActions",
            ACTION,
            {"type": "RS", "description": "ACME SPLIT 1 FOR 25", "quantity": "-240", "symbol": "ACME.OLD"},
            ("split", "reverse", "ACME", D(-240), D(0), "USD"),
        ),
        (
            "CorporateActions",
            ACTION,
            {"type": "TC", "quantity": "-12", "proceeds": "34.32"},
            ("corporate_action", "merger", "ACME", D(-12), D("34.32"), "USD"),
        ),
        (
            "CorporateActions",
            ACTION,
            {"type": "DW", "quantity": "-7"},
            ("sell", "worthless", "ACME", D(-7), D(0), "USD"),
        ),
        ("CorporateActions", ACTION, {"type": "SO"}, ("corporate_action", "spin_off", "ACME", D(90), D(0), "USD")),
        ("CorporateActions", ACTION, {"type": "PV", "quantity": "0"}, ("other", "", "ACME", None, D(0), "USD")),
    ],
)
def test_each_kind_of_row_is_told_in_the_hubs_words(section, row, changes, expected):
    assert told(one(section, row, **changes)) == expected


def test_a_trade_keeps_its_costs_days_and_order():
    record = one("Trades", TRADE, taxes="-0.5", netCash="-1001.5")
    assert (record.external_id, record.group_id) == ("31000001", "41000001")
    assert (record.gross_amount, record.fees, record.taxes, record.price) == (D(-1000), D(1), D("0.5"), D(100))
    assert (record.traded_on, record.settled_on) == (date(2026, 9, 3), date(2026, 9, 4))
    assert record.occurred_at == datetime(2026, 9, 3, 14, 15, 30, tzinfo=UTC)  # New York's clock, in summer
    assert record.raw["netCash"] == "-1001.5"


def test_a_commission_in_another_currency_is_a_movement_of_its_own():
    trade, fee = read(Trades=[TRADE | {"ibCommissionCurrency": "EUR"}])
    assert (trade.net_amount, trade.fees) == (D(-1000), D(0))
    assert told(fee) == ("fee", "commission", None, None, D(-1), "EUR")
    assert (fee.external_id, fee.group_id) == ("31000001:commission", trade.group_id)


def test_an_exchange_has_a_leg_in_each_currency_and_its_commission_where_it_was_paid():
    quote, base = read(Trades=[TRADE | EURUSD])
    assert told(quote) == ("fx", "", None, None, D(990), "USD")
    assert (told(base), base.fees) == (("fx", "", None, None, D(-902), "EUR"), D(2))
    assert quote.group_id == base.group_id == "31000001"
    *_, fee = read(Trades=[TRADE | EURUSD | {"ibCommissionCurrency": "CHF"}])
    assert told(fee) == ("fee", "commission", None, None, D(-2), "CHF")


CANCEL = {
    "transactionID": "31000009",
    "transactionType": "TradeCancel",
    "buySell": "BUY (Ca.)",
    "quantity": "-10",
    "proceeds": "1000",
    "ibCommission": "1",
    "netCash": "1001",
    "notes": "Ca",
    "tradeID": "",
    "origTransactionID": "31000001",
}


@pytest.mark.parametrize("naming", [{}, {"origTransactionID": "0", "origTradeID": "5000001"}])
def test_a_cancelled_trade_and_its_cancellation_are_kept_and_count_nothing(naming):
    records = read(Trades=[TRADE, TRADE | CANCEL | naming])
    assert [(record.external_id, record.status) for record in records] == [
        ("31000001", RecordStatus.VOID),
        ("31000009", RecordStatus.VOID),
    ]


def test_a_cancellation_takes_back_a_trade_of_an_earlier_statement():
    cancelled, original = read(Trades=[TRADE | CANCEL])
    assert (cancelled.external_id, cancelled.status) == ("31000009", RecordStatus.VOID)
    assert (original.external_id, original.status) == ("31000001", RecordStatus.VOID)
    assert (original.quantity, original.net_amount) == (D(10), D(-1001))


def test_a_correction_counts_in_place_of_a_trade_of_an_earlier_statement():
    correction = {"transactionType": "TradeCorrect", "transactionID": "31000009", "origTransactionID": "31000001"}
    corrected, original = read(Trades=[TRADE | correction])
    assert (corrected.external_id, corrected.status) == ("31000009", RecordStatus.POSTED)
    assert (original.external_id, original.status) == ("31000001", RecordStatus.VOID)


def test_summaries_and_other_levels_are_not_counted_again():
    records = read(
        Trades=[TRADE, ("Order", TRADE | {"levelOfDetail": "ORDER"}), ("SymbolSummary", TRADE)],
        CashTransactions=[CASH | {"accountId": "-", "transactionID": "", "levelOfDetail": "SUMMARY"}, CASH],
        CorporateActions=[ACTION | {"levelOfDetail": "SUMMARY"}, ACTION],
    )
    assert [record.external_id for record in records] == ["31000001", "32000003", "34000001"]


@pytest.mark.parametrize(
    ("section", "row", "changes", "reason"),
    [
        ("Trades", TRADE, {"transactionType": "Tomorrow"}, "unknown kind of trade"),
        ("Trades", TRADE, {"buySell": "SWAP"}, "unknown side"),
        ("Trades", TRADE, {"assetCategory": "NFT"}, "unknown asset category"),
        ("Trades", TRADE, {"quantity": "many"}, "not a number"),
        ("Trades", TRADE, {"quantity": ""}, "quantity is empty"),
        ("Trades", TRADE, {"transactionType": "TradeCorrect"}, "which trade it corrects"),
        ("CashTransactions", CASH, {"type": "Tips"}, "unknown kind of cash transaction"),
        ("CashTransactions", CASH, {"dateTime": "yesterday"}, "not a date"),
        ("Transfers", TRANSFER, {"type": "PIGEON"}, "unknown kind of transfer"),
        ("Transfers", TRANSFER, {"quantity": "0"}, "units or money"),
        ("CorporateActions", ACTION, {"type": "ZZ"}, "unknown kind of corporate action"),
    ],
)
def test_a_row_no_rule_fits_is_parked_as_it_came(section, row, changes, reason):
    record = one(section, row, **changes)
    assert isinstance(record, ParkedRecord)
    assert reason in record.reason
    assert record.raw == row | changes


def test_money_told_as_transfer_and_as_deposit_is_not_booked_twice():
    money = {"quantity": "0", "cashTransfer": "300", "symbol": "--", "settleDate": "20260915"}
    deposit, transfer = read(
        CashTransactions=[CASH | {"type": "Deposits/Withdrawals", "symbol": "", "conid": "", "amount": "300"}],
        Transfers=[TRANSFER | money],
    )
    assert isinstance(deposit, TransactionRecord)
    assert isinstance(transfer, ParkedRecord)


def test_a_dividend_in_another_currency_belongs_to_the_share_as_it_is_listed():
    _, dividend = read(Trades=[TRADE | {"currency": "GBP", "ibCommissionCurrency": "GBP"}], CashTransactions=[CASH])
    assert (dividend.currency, dividend.instrument.currency) == ("USD", "GBP")


def test_rows_without_an_id_are_known_by_what_they_say_and_equal_ones_stay_two():
    row = CASH | {"transactionID": ""}
    first, second, other = read(CashTransactions=[row, row, row | {"amount": "25"}])
    again = read(CashTransactions=[row, row, row | {"amount": "25"}])
    assert len({first.external_id, second.external_id, other.external_id}) == 3
    assert [record.external_id for record in again] == [first.external_id, second.external_id, other.external_id]


# --- Taxes told in sections of their own ------------------------------------------------------------------------------


def test_a_tax_its_trade_has_not_told_is_booked():
    trade, tax = read(Trades=[TRADE], TransactionTaxes=[TRANSACTION_TAX])
    assert told(tax) == ("tax", "transaction", "ACME", None, D(-3), "USD")
    assert (tax.traded_on, tax.group_id, tax.description) == (date(2026, 9, 3), "5000001", "French Transaction Tax")
    assert trade.taxes == 0
    assert read(Trades=[TRADE], TransactionTaxes=[TRANSACTION_TAX])[1].external_id == tax.external_id


def test_a_tax_its_trade_has_told_is_not_booked_again():
    taxed = TRADE | {"taxes": "-3", "netCash": "-1004"}
    (trade,) = read(Trades=[taxed], TransactionTaxes=[TRANSACTION_TAX, ("TransactionTaxDetail", TRANSACTION_TAX)])
    assert (trade.taxes, trade.net_amount) == (D(3), D(-1004))
    assert len(read(Trades=[taxed], SalesTaxes=[SALES_TAX | {"taxableTransactionID": "31000001"}])) == 1


def test_a_tax_of_nothing_is_no_row():
    assert len(read(Trades=[TRADE], TransactionTaxes=[TRANSACTION_TAX | {"taxAmount": "0"}])) == 1


def test_a_tax_whose_trade_is_elsewhere_waits_to_be_looked_at():
    (tax,) = read(TransactionTaxes=[TRANSACTION_TAX])
    assert isinstance(tax, ParkedRecord)
    assert "another statement" in tax.reason


@pytest.mark.parametrize("name", ["currency", "date", "taxAmount"])
def test_a_tax_that_leaves_something_out_is_parked_and_stops_nothing(name):
    lacking = {key: value for key, value in TRANSACTION_TAX.items() if key != name}
    trade, tax = read(Trades=[TRADE], TransactionTaxes=[lacking])
    assert isinstance(trade, TransactionRecord)
    assert isinstance(tax, ParkedRecord)


def test_a_sales_tax_is_booked_unless_it_was_charged_as_a_fee():
    (tax,) = read(SalesTaxes=[SALES_TAX])
    assert (told(tax), tax.external_id) == (("tax", "sales", None, None, D("-0.76"), "USD"), "36000002")
    fee = CASH | {"type": "Other Fees", "symbol": "", "conid": "", "amount": "-0.76", "transactionID": "36000002"}
    (charged,) = read(CashTransactions=[fee], SalesTaxes=[SALES_TAX])
    assert charged.kind == "fee"
    taxed_fee = fee | {"transactionID": "36000001", "amount": "-10"}
    assert len(read(CashTransactions=[taxed_fee], SalesTaxes=[SALES_TAX])) == 2, "the fee itself is not its tax"
