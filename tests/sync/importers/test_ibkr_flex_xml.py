"""What Flex queries saved as XML say beyond their counts: the same as the feed, however little was ticked."""

from datetime import date
from decimal import Decimal

import pytest

from brokerhub.kernel.errors import HubError
from connections.brokers.records import ParkedRecord, RecordStatus, TransactionKind, TransactionRecord
from sync import importers
from sync.importers import reader
from sync.importers.base import Choices, FileRow, ParsedFile
from tests.connections import flex_statements as feed
from tests.connections.flex_statements import element

K = TransactionKind
TRADE = {
    "accountId": "U1",
    "currency": "USD",
    "assetCategory": "STK",
    "symbol": "ACME",
    "tradeDate": "20260601",
    "quantity": "10",
    "tradePrice": "5",
    "proceeds": "-50",
    "ibCommission": "-1",
    "ibCommissionCurrency": "USD",
    "buySell": "BUY",
    "transactionID": "71",
}


def document(*statements: str, kind: str = "AF") -> bytes:
    body = "\n".join(
        f'<FlexStatement accountId="U1" fromDate="20260101" toDate="20260630">\n{one}\n</FlexStatement>'
        for one in statements
    )
    head = f'<FlexQueryResponse queryName="All" type="{kind}">\n<FlexStatements count="{len(statements)}">'
    return f"{head}\n{body}\n</FlexStatements>\n</FlexQueryResponse>".encode()


def section(name: str, tag: str, *rows: dict[str, str]) -> str:
    lines = "\n".join(element(row.get("tag", tag), {k: v for k, v in row.items() if k != "tag"}) for row in rows)
    return f"<{name}>\n{lines}\n</{name}>"


def trades(*changes: dict[str, str]) -> bytes:
    return document(section("Trades", "Trade", *({**TRADE, **change} for change in changes)))


def parse(content: bytes, choices: Choices | None = None) -> ParsedFile:
    source = reader.read(content)
    return importers.detect(source)[0].parse(source, choices or Choices())


def only(row: FileRow) -> TransactionRecord:
    (record,) = row.records
    assert isinstance(record, TransactionRecord), record
    return record


def reason(row: FileRow) -> str:
    (record,) = row.records
    assert isinstance(record, ParkedRecord)
    return record.reason


def test_a_saved_file_gives_each_row_the_id_and_the_meaning_the_feed_gives_it() -> None:
    rows = {
        "Trades": ("Trade", [feed.TRADE, {**feed.TRADE, "transactionID": "9", "quantity": "-10", "buySell": "SELL"}]),
        "CashTransactions": ("CashTransaction", [feed.CASH]),
        "Transfers": ("Transfer", [feed.TRANSFER]),
        "CorporateActions": ("CorporateAction", [feed.ACTION]),
        "SalesTaxes": ("SalesTax", [feed.SALES_TAX]),
    }
    saved = parse(document("\n".join(section(name, tag, *told) for name, (tag, told) in rows.items())))
    assert [(record.external_id, feed.told(record)) for record in saved.records] == [
        (record.external_id, feed.told(record))
        for record in feed.read(**{name: told for name, (_, told) in rows.items()})
    ]


def test_a_trade_needs_no_more_than_what_happened() -> None:
    """Nine fields were ticked: side, kind of trade, names of the day and of the proceeds are told by the others."""
    bare = {"currency": "USD", "isin": "US0000000001", "tradeDate": "2026-06-01", "quantity": "-4", "tradePrice": "5"}
    record = only(parse(document(section("Trades", "Trade", {**bare, "tradeMoney": "-20"}))).rows[0])
    assert (record.kind, record.quantity, record.net_amount) == (K.SELL, Decimal(-4), Decimal(20))
    assert record.instrument is not None
    assert (record.instrument.symbol, record.external_id, record.traded_on) == ("US0000000001", "", date(2026, 6, 1))


def test_a_trade_without_commissions_says_so() -> None:
    row = {name: value for name, value in TRADE.items() if not name.startswith("ibCommission")}
    assert parse(document(section("Trades", "Trade", row))).warnings == (
        "Some trades say nothing of commissions, so their cash leaves them out.",
    )


def test_without_a_transaction_id_a_trade_is_known_by_its_trade_id_and_side() -> None:
    parsed = parse(
        trades({"transactionID": "", "tradeID": "8"}, {"transactionID": "", "tradeID": "8", "quantity": "-1"})
    )
    assert [only(row).external_id for row in parsed.rows] == ["8:EXECUTION:+", "8:EXECUTION:-"]


def test_rows_without_any_id_are_left_to_be_counted() -> None:
    parsed = parse(trades({"transactionID": ""}, {"transactionID": ""}))
    assert [only(row).external_id for row in parsed.rows] == ["", ""]


def test_orders_summaries_and_totals_of_several_accounts_are_not_counted_again() -> None:
    parsed = parse(
        document(
            section(
                "Trades",
                "Trade",
                {**TRADE, "tag": "SymbolSummary", "levelOfDetail": "SYMBOL_SUMMARY"},
                {**TRADE, "tag": "Order", "levelOfDetail": "ORDER", "transactionID": ""},
                {**TRADE, "levelOfDetail": "EXECUTION"},
                {**TRADE, "tag": "Lot", "levelOfDetail": "CLOSED_LOT"},
            ),
        )
    )
    assert [row.line for row in parsed.rows] == [7]
    assert [(row.line, row.reason) for row in parsed.skipped] == [
        (line, "it restates other rows") for line in (5, 6, 8)
    ]


def test_orders_count_where_a_query_gives_no_executions() -> None:
    row = {**TRADE, "tag": "Order", "levelOfDetail": "ORDER", "transactionID": ""}
    assert only(parse(document(section("Trades", "Trade", row))).rows[0]).net_amount == Decimal(-51)


def test_the_rows_of_several_accounts_come_as_groups() -> None:
    parsed = parse(trades({}, {"accountId": "U2", "transactionID": "72"}, {"transactionID": "73"}))
    assert {account: [row.line for row in rows] for account, rows in parsed.accounts.items()} == {
        "U1": [5, 7],
        "U2": [6],
    }


def test_overlapping_statements_of_one_file_count_a_row_once() -> None:
    one = section("Trades", "Trade", TRADE)
    parsed = parse(document(one, one))
    assert len(parsed.rows) == 1
    assert [row.reason for row in parsed.skipped] == ["the same row as in line 5, with the same id"]


def test_one_id_for_two_different_rows_is_kept_apart_with_the_reason() -> None:
    assert reason(parse(trades({}, {"quantity": "11"})).rows[1]) == (
        "The id “71” is that of another row too, in line 5."
    )


def test_a_cancelled_trade_and_its_cancellation_count_nothing() -> None:
    cancelled = {"transactionID": "72", "origTransactionID": "71", "buySell": "BUY (Ca.)", "quantity": "-10"}
    parsed = parse(trades({}, {**cancelled, "proceeds": "50", "ibCommission": "1"}))
    assert [only(row).status for row in parsed.rows] == [RecordStatus.VOID, RecordStatus.VOID]
    assert sum(only(row).net_amount for row in parsed.rows) == 0


def test_pence_are_kept_as_pounds() -> None:
    record = only(parse(trades({"currency": "GBX", "ibCommissionCurrency": "GBP"})).rows[0])
    assert (record.currency, record.price, record.net_amount) == ("GBP", Decimal("0.05"), Decimal("-1.50"))


def test_net_cash_that_is_not_proceeds_and_commission_is_worth_a_look() -> None:
    (row,) = parse(trades({"netCash": "-60"})).rows
    assert only(row).net_amount == Decimal(-60)
    assert row.warnings == ("Proceeds, commission and taxes give -51, not the net cash -60 of the file.",)


def test_days_that_read_two_ways_are_asked_for() -> None:
    content = trades({"tradeDate": "03/04/2026"})
    (question,) = parse(content).questions
    assert (question.about, question.examples) == ("date_order", ("03/04/2026",))
    assert only(parse(content, Choices(date_order="dmy")).rows[0]).traded_on == date(2026, 4, 3)
    assert only(parse(content, Choices(date_order="mdy")).rows[0]).traded_on == date(2026, 3, 4)


def test_days_of_the_statement_itself_that_read_two_ways_are_asked_for_too() -> None:
    content = (
        trades({"tradeDate": "03/04/2026"}).replace(b"20260101", b"01/02/2026").replace(b"20260630", b"06/07/2026")
    )
    assert [question.about for question in parse(content).questions] == ["date_order"]
    assert only(parse(content, Choices(date_order="dmy")).rows[0]).traded_on == date(2026, 4, 3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tradeDate": "20990101"}, "The date 2099-01-01 is in the future."),
        ({"quantity": "ten"}, "'ten' is not a number."),
        ({"tradeDate": "soon"}, "'soon' is not a date."),
        ({"transactionType": "Gift"}, "Unknown kind of trade 'Gift'."),
        ({"currency": "GBX", "proceeds": "much"}, "'much' is not a number."),
    ],
)
def test_a_row_that_cannot_be_read_is_parked_and_stops_no_other(change: dict[str, str], said: str) -> None:
    parsed = parse(trades(change, {"transactionID": "72"}))
    assert reason(parsed.rows[0]) == said
    assert only(parsed.rows[1]).external_id == "72"


BOMB = b"""<?xml version="1.0"?><!DOCTYPE FlexQueryResponse [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>
<FlexQueryResponse type="AF"><FlexStatements count="0">&b;</FlexStatements></FlexQueryResponse>"""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (BOMB, "not a whole XML document"),
        (trades({})[:-40], "not a whole XML document"),
        (trades({}).replace(b'count="1"', b'count="2"'), "as many accounts as it says"),
        (b"<FlexStatementResponse><ErrorCode>1019</ErrorCode></FlexStatementResponse>", "Run the query again"),
        (b"<FlexQueryResponse>" + b"<a>" * 50_000, "not a whole XML document"),
    ],
    ids=["entities", "half", "statement missing", "no statement", "deep"],
)
def test_a_document_that_is_damaged_or_hostile_is_refused_in_a_sentence(content: bytes, said: str) -> None:
    with pytest.raises(HubError, match=said):
        parse(content)


def test_more_rows_than_we_take_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync.importers.ibkr_flex.MAX_ROWS", 2)
    with pytest.raises(HubError, match="more than"):
        parse(trades({}, {"transactionID": "72"}, {"transactionID": "73"}))


def test_more_elements_than_any_statement_has_are_refused_while_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connections.brokers.ibkr_statement.MOST_ELEMENTS", 5)
    with pytest.raises(HubError, match="more than"):
        parse(trades({}, {"transactionID": "72"}, {"transactionID": "73"}))


def test_a_text_longer_than_any_cell_is_refused() -> None:
    with pytest.raises(HubError, match="longer than"):
        parse(trades({"description": "x" * 10_001}))
