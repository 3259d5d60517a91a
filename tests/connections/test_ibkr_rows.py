"""What the hub makes of the rows of a Flex statement: one example of each shape, then the statements of real people."""

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal as D
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest

from connections.brokers import ibkr_holdings, ibkr_rows, ibkr_statement
from connections.brokers.base import UnexpectedReply
from connections.brokers.ibkr_instruments import Known
from connections.brokers.ibkr_statement import IncompleteQuery, Report, Row
from connections.brokers.records import ParkedRecord, RecordStatus, TransactionRecord

SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "csv"
TRADE = {
    "accountId": "U7700001",
    "currency": "USD",
    "assetCategory": "STK",
    "subCategory": "COMMON",
    "symbol": "ACME",
    "description": "ACME CORP",
    "conid": "990001",
    "isin": "US0000000001",
    "multiplier": "1",
    "strike": "",
    "expiry": "",
    "putCall": "",
    "underlyingSymbol": "",
    "tradeID": "5000001",
    "transactionID": "31000001",
    "origTransactionID": "0",
    "ibOrderID": "41000001",
    "tradeDate": "20260903",
    "dateTime": "20260903;101530",
    "settleDateTarget": "20260904",
    "transactionType": "ExchTrade",
    "buySell": "BUY",
    "openCloseIndicator": "O",
    "quantity": "10",
    "tradePrice": "100",
    "proceeds": "-1000",
    "taxes": "0",
    "ibCommission": "-1",
    "ibCommissionCurrency": "USD",
    "netCash": "-1001",
    "notes": "P",
    "levelOfDetail": "EXECUTION",
}
OPTION = {
    "assetCategory": "OPT",
    "symbol": "ACME  261016P00090000",
    "underlyingSymbol": "ACME",
    "strike": "90",
    "expiry": "20261016",
    "putCall": "P",
    "multiplier": "100",
}
EURUSD = {
    "assetCategory": "CASH",
    "symbol": "EUR.USD",
    "buySell": "SELL",
    "quantity": "-900",
    "tradePrice": "1.1",
    "proceeds": "990",
    "netCash": "0",
    "ibCommission": "-2",
    "ibCommissionCurrency": "EUR",
    "notes": "",
}
CASH = {
    "accountId": "U7700001",
    "currency": "USD",
    "assetCategory": "STK",
    "symbol": "ACME",
    "description": "ACME(US0000000001) CASH DIVIDEND USD 0.24 PER SHARE",
    "conid": "990001",
    "multiplier": "1",
    "dateTime": "20260915;202000",
    "settleDate": "20260915",
    "reportDate": "20260915",
    "amount": "24",
    "type": "Dividends",
    "transactionID": "32000003",
    "actionID": "160000001",
    "levelOfDetail": "DETAIL",
}
TRANSFER = {
    "accountId": "U7700001",
    "currency": "USD",
    "assetCategory": "STK",
    "symbol": "ACME",
    "conid": "990001",
    "multiplier": "1",
    "type": "ACATS",
    "direction": "IN",
    "date": "20260916",
    "dateTime": "20260916;085027",
    "settleDate": "20260916",
    "quantity": "5",
    "transferPrice": "0",
    "cashTransfer": "0",
    "transactionID": "33000001",
    "levelOfDetail": "TRANSFER",
}
ACTION = {
    "accountId": "U7700001",
    "currency": "USD",
    "assetCategory": "STK",
    "symbol": "ACME",
    "description": "ACME(US0000000001) SPLIT 10 FOR 1 (ACME, ACME CORP, US0000000001)",
    "conid": "990001",
    "multiplier": "1",
    "reportDate": "20260917",
    "dateTime": "20260916;202500",
    "quantity": "90",
    "proceeds": "0",
    "type": "FS",
    "transactionID": "34000001",
    "actionID": "167000001",
    "levelOfDetail": "DETAIL",
}
POSITION = {
    "accountId": "U7700001",
    "currency": "USD",
    "assetCategory": "STK",
    "symbol": "BRK B",
    "conid": "72063691",
    "multiplier": "1",
    "position": "-3",
    "markPrice": "500",
    "positionValue": "-1500",
    "costBasisPrice": "480.5",
    "levelOfDetail": "SUMMARY",
}
MONEY = {"accountId": "U7700001", "currency": "USD", "endingCash": "250.5", "endingSettledCash": "200"}
ROWS = {
    "Trades": "Trade",
    "CashTransactions": "CashTransaction",
    "Transfers": "Transfer",
    "CorporateActions": "CorporateAction",
    "OpenPositions": "OpenPosition",
    "CashReport": "CashReportCurrency",
}


def element(tag, told):
    return f"<{tag} {' '.join(f'{name}={quoteattr(value)}' for name, value in told.items())} />"


def statement(without=(), **rows):
    """A statement with these rows by section; a row may be (tag, attributes) where it is not the usual one."""
    parts = []
    for section, tag in ROWS.items():
        if section in without:
            continue
        told = [row if isinstance(row, tuple) else (tag, row) for row in rows.get(section, [])]
        parts.append(f"<{section}>{''.join(element(*row) for row in told)}</{section}>")
    head = {"accountId": "U7700001", "fromDate": "20260901", "toDate": "20260930", "period": "LastMonth"}
    body = element("FlexStatement", head).replace(" />", ">") + "".join(parts) + "</FlexStatement>"
    text = f'<FlexQueryResponse type="AF"><FlexStatements count="1">{body}</FlexStatements></FlexQueryResponse>'
    report = ibkr_statement.read(text)
    assert isinstance(report, Report)
    return report.statements[0]


def read(**rows):
    found = statement(**rows)
    return list(ibkr_rows.transactions(found, Known.by([found])))


def one(section, row, **changes):
    (record,) = read(**{section: [{**row, **changes}]})
    return record


def told(record):
    symbol = record.instrument.symbol if record.instrument else None
    return record.kind.value, record.subtype, symbol, record.quantity, record.net_amount, record.currency


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


@pytest.mark.parametrize(
    ("written", "day", "hour"),
    [
        ("20260903;101530", date(2026, 9, 3), 14),
        ("20260903101530", date(2026, 9, 3), 14),
        ("2026-09-03, 10:15:30", date(2026, 9, 3), 14),
        ("2026-09-03 10:15:30", date(2026, 9, 3), 14),
        ("20260903;101530 EDT", date(2026, 9, 3), 14),
        ("20260903;101530 GMT", date(2026, 9, 3), 10),
        ("20260903;101530 JST", date(2026, 9, 3), None),
        ("03-Sep-26;10:15:30", date(2026, 9, 3), 14),
        ("20260903", date(2026, 9, 3), None),
        ("09/23/2026;101530", date(2026, 9, 23), 14),
        ("23/09/2026 101530", date(2026, 9, 23), 14),
        ("23/09/26101530", date(2026, 9, 23), 14),
    ],
)
def test_dates_are_read_in_every_form_a_query_can_be_set_to(written, day, hour):
    record = one("CashTransactions", CASH, dateTime=written)
    assert record.traded_on == day
    assert (record.occurred_at and record.occurred_at.hour) == hour


def test_days_that_can_be_read_two_ways_are_asked_about():
    with pytest.raises(IncompleteQuery, match="yyyyMMdd"):
        one("CashTransactions", CASH, dateTime="03/09/2026")


@pytest.mark.parametrize("section", ["Trades", "CashTransactions", "Transfers", "CorporateActions"])
def test_a_section_left_out_is_named_and_never_read_as_empty(section):
    found = statement(without=[section])
    with pytest.raises(IncompleteQuery, match=ibkr_statement.TITLES[section]):
        list(ibkr_rows.transactions(found, Known()))


@pytest.mark.parametrize(
    ("section", "row", "name"),
    [
        ("Trades", TRADE, "proceeds"),
        ("Trades", TRADE, "notes"),
        ("CashTransactions", CASH, "amount"),
        ("Transfers", TRANSFER, "quantity"),
        ("CorporateActions", ACTION, "proceeds"),
    ],
)
def test_a_field_left_out_is_named(section, row, name):
    with pytest.raises(IncompleteQuery, match=f"field {name} in its section {ibkr_statement.TITLES[section]}"):
        read(**{section: [{key: value for key, value in row.items() if key != name}]})


@pytest.mark.parametrize(
    ("section", "row", "advice"),
    [
        ("Trades", ("Order", TRADE), "Tick Execution"),
        ("CashTransactions", CASH | {"levelOfDetail": "SUMMARY"}, "Choose Detail"),
    ],
)
def test_a_query_that_gives_only_summaries_is_told_so(section, row, advice):
    with pytest.raises(IncompleteQuery, match=advice):
        read(**{section: [row]})


def test_attributes_of_tomorrow_are_ignored():
    assert one("Trades", TRADE, mood="bullish").net_amount == D(-1001)


def test_holdings_tell_cash_and_value_in_each_currency():
    held = ibkr_holdings.holdings(
        statement(
            OpenPositions=[
                POSITION,
                POSITION | {"levelOfDetail": "LOT"},
                POSITION | {"symbol": "ULVR", "currency": "GBP", "positionValue": "700", "position": "14"},
            ],
            CashReport=[MONEY | {"currency": "BASE_SUMMARY", "endingCash": "999"}, MONEY, MONEY | {"currency": "CHF"}],
        )
    )
    assert [(each.instrument.symbol, each.quantity, each.average_cost) for each in held.positions] == [
        ("BRK.B", D(-3), D("480.5")),
        ("ULVR", D(14), D("480.5")),
    ]
    assert {each.currency: (each.cash, each.settled_cash, each.net_asset_value) for each in held.balances} == {
        "CHF": (D("250.5"), D(200), D("250.5")),
        "GBP": (D(0), D(0), D(700)),
        "USD": (D("250.5"), D(200), D("-1249.5")),
    }
    assert held.as_of.date() == date(2026, 9, 30)


@pytest.mark.parametrize(
    ("rows", "without", "advice"),
    [
        ({}, ["OpenPositions"], "Open Positions"),
        ({}, ["CashReport"], "Cash Report"),
        ({"OpenPositions": [POSITION | {"levelOfDetail": "LOT"}]}, [], "Choose Summary"),
        ({"CashReport": [MONEY | {"currency": "BASE_SUMMARY"}]}, [], "Currency Breakout"),
    ],
)
def test_holdings_that_would_be_incomplete_are_refused_in_words(rows, without, advice):
    with pytest.raises(IncompleteQuery, match=advice):
        ibkr_holdings.holdings(statement(without, **rows))


def test_a_value_the_broker_does_not_tell_stays_unknown():
    (usd,) = ibkr_holdings.holdings(
        statement(OpenPositions=[POSITION | {"positionValue": ""}], CashReport=[MONEY])
    ).balances
    assert (usd.cash, usd.market_value, usd.net_asset_value) == (D("250.5"), None, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html><p>Sorry</html>",
        "<FlexQueryResponse><FlexSt",
        "<html></html>",
        '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    ],
)
def test_what_is_no_flex_document_is_not_read_at_all(text):
    with pytest.raises(ValueError):
        ibkr_statement.read(text)


def test_a_statement_with_fewer_accounts_than_it_says_is_not_believed():
    with pytest.raises(UnexpectedReply):
        ibkr_statement.read(
            '<FlexQueryResponse type="AF"><FlexStatements count="2"></FlexStatements></FlexQueryResponse>'
        )


# --- Real statements --------------------------------------------------------------------------------------------------
REAL = [  # counts and change of cash, each worked out by hand in the samples' SOURCES.md
    (
        "activity-2013",
        {"buy": 14, "fee": 4, "interest": 2, "tax": 1, "corporate_action": 3, "split": 2},
        {"CAD": "-2303.0356", "CHF": "-19.49", "USD": "-2.07"},
    ),
    ("activity-2023-chf", {"buy": 6, "deposit": 2, "fx": 2}, {"CHF": "5.353618", "USD": "32.509221"}),
    (
        "corporate-action-2025",
        {"buy": 1, "dividend": 2, "tax": 2, "corporate_action": 2},
        {"EUR": "-799.8", "USD": "22.64"},
    ),
    ("dividends-2025", {"dividend": 9, "fee": 1}, {"USD": "208.43"}),
    ("fx-cancel-2025", {"fx": 3}, {"TWD": "34649.999995949", "USD": "-1145.929445"}),
    (
        "tradeconfirms-2019",
        {"buy": 7, "sell": 1, "fx": 3},
        {"AUD": "-9329.25", "GBP": "5038.75", "USD": "-31120.030115"},
    ),
]


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample statements are not here")
@pytest.mark.parametrize(("name", "kinds", "cash"), REAL, ids=lambda value: value if isinstance(value, str) else "")
def test_real_statements_are_read_whole_and_to_the_last_digit(name, kinds, cash):
    report = ibkr_statement.read((SAMPLES / f"ibkr-flex-{name}.xml").read_text())
    assert isinstance(report, Report)
    nothing: dict[str, tuple[Row, ...]] = dict.fromkeys(ROWS, ())  # for sections their owners had no use for
    found = replace(report.statements[0], sections={**nothing, **report.statements[0].sections})
    told = ibkr_rows.confirmations(found) if report.kind == "TCF" else ibkr_rows.transactions(found, Known.by([found]))
    records = []
    for record in told:
        assert isinstance(record, TransactionRecord), record
        records.append(record)
    rows = {
        record.external_id.partition(":")[0] + record.raw.get("tradeID", ""): record for record in reversed(records)
    }
    assert Counter(record.kind.value for record in rows.values()) == kinds
    sums: defaultdict[str, D] = defaultdict(D)
    for record in records:
        if record.status is RecordStatus.POSTED:
            sums[record.currency] += record.net_amount
    assert sums == {currency: D(amount) for currency, amount in cash.items()}
