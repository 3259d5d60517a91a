"""What Flex queries saved as CSV say beyond their counts: any choice of columns, any choice of sections."""

from datetime import date
from decimal import Decimal

import pytest

from brokerhub.kernel.errors import HubError
from connections.brokers.records import AssetClass, TransactionKind, TransactionRecord
from sync import importers
from sync.importers import reader
from sync.importers.base import Choices, FileRow, ParsedFile

K = TransactionKind
TRADES = (
    "ClientAccountID,CurrencyPrimary,AssetClass,Symbol,Put/Call,Strike,Expiry,UnderlyingSymbol,Multiplier,TradeDate,"
    "Quantity,TradePrice,Proceeds,IBCommission,IBCommissionCurrency,Buy/Sell,Notes/Codes,TransactionID,LevelOfDetail"
)
CASH = "ClientAccountID,CurrencyPrimary,Type,Date/Time,Amount,Description,TransactionID"


def parse(text: str, choices: Choices | None = None) -> ParsedFile:
    source = reader.read(text.encode())
    chosen, _ = importers.detect(source)
    assert chosen.key == "ibkr_flex_csv"
    return chosen.parse(source, choices or Choices())


def only(row: FileRow) -> TransactionRecord:
    (record,) = row.records
    assert isinstance(record, TransactionRecord), record
    return record


def test_columns_are_found_by_name_however_the_query_orders_them() -> None:
    text = f"{TRADES}\nU1,USD,STK,ACME,,,,,1,20260601,-10,5,50,-1,USD,SELL,C,71,EXECUTION\n"
    header, row = text.splitlines()
    turned = "\n".join(",".join(reversed(line.split(","))) for line in (header, row))
    for written in (text, turned):
        record = only(parse(written).rows[0])
        assert (record.kind, record.quantity, record.net_amount) == (K.SELL, Decimal(-10), Decimal(49))
        assert (record.external_id, record.raw["Buy/Sell"]) == ("71", "SELL")


def test_an_expired_option_is_told_by_its_code() -> None:
    row = "U1,USD,OPT,ACME C 20 JUL,C,20,20260717,ACME,100,20260717,4,0,0,0,USD,BUY,C;Ep,72,EXECUTION"
    record = only(parse(f"{TRADES}\n{row}\n").rows[0])
    assert record.instrument is not None
    assert record.kind is K.OPTION_EXPIRATION
    assert (record.instrument.symbol, record.instrument.asset_class) == ("ACME  260717C00020000", AssetClass.OPTION)


def test_an_exchange_of_currencies_is_two_legs_of_one_row() -> None:
    row = "U1,CHF,CASH,USD.CHF,,,,,1,20260601,1000,0.9,-900,-2,CHF,BUY,,73,EXECUTION"
    (told,) = parse(f"{TRADES}\n{row}\n").rows
    assert [
        (record.external_id, record.kind, record.currency, record.net_amount)
        for record in told.records
        if isinstance(record, TransactionRecord)
    ] == [("73", K.FX, "CHF", Decimal(-902)), ("73:base", K.FX, "USD", Decimal(1000))]


def test_tables_with_a_heading_each_are_read_one_after_the_other() -> None:
    parsed = parse(
        f"{TRADES}\nU1,USD,STK,ACME,,,,,1,20260601,10,5,-50,-1,USD,BUY,,71,EXECUTION\n"
        f"{CASH}\nU2,USD,Dividends,20260602,3.5,ACME(US0000000001) CASH DIVIDEND,72\n"
        "ClientAccountID,CurrencyPrimary,Conid,MarkPrice\nU1,USD,1,5\n"
    )
    assert [(row.line, row.account_hint, only(row).kind) for row in parsed.rows] == [
        (2, "U1", K.BUY),
        (4, "U2", K.DIVIDEND),
    ]
    dividend = only(parsed.rows[1])
    assert dividend.instrument is not None
    assert dividend.instrument.isin == "US0000000001"
    assert [row.line for row in parsed.skipped] == [1, 3, 5, 6]
    assert parsed.warnings == ("The hub does not know the section of the heading in line 5; its rows were not read.",)


MARKED = f"""BOF,U1,All,2,20260101,20260630
BOA,U1234567
BOS,TRNT,Trades; trade date basis
HEADER,TRNT,{TRADES.removeprefix("ClientAccountID,")}
DATA,TRNT,USD,STK,ACME,,,,,1,20260601,10,5,-50,-1,USD,BUY,,71,EXECUTION
EOS,TRNT,1
EOA,U1234567
BOA,U7654321
BOS,CTRN,Cash transactions
HEADER,CTRN,CurrencyPrimary,Type,Date/Time,Amount,Description,TransactionID
DATA,CTRN,USD,Deposits/Withdrawals,2026-06-02,-5,DISBURSEMENT,72
EOS,CTRN,1
BOS,STFU,Statement of funds
HEADER,STFU,CurrencyPrimary,Date,Amount,Balance
DATA,STFU,USD,20260602,-5,0
EOS,STFU,1
BOS,XYZW,News
HEADER,XYZW,CurrencyPrimary,Novelty
DATA,XYZW,USD,1
EOS,XYZW,1
EOA,U7654321
EOF,U1,All,2
"""


def test_sections_with_codes_are_read_by_account_and_what_restates_them_is_not() -> None:
    parsed = parse(MARKED)
    assert {account: [only(row).net_amount for row in rows] for account, rows in parsed.accounts.items()} == {
        "U1234567": [Decimal(-51)],
        "U7654321": [Decimal(-5)],
    }
    assert parsed.warnings == ("The hub does not know the section “XYZW”; its rows were not read.",)
    lines = sorted([row.line for row in parsed.rows] + [row.line for row in parsed.skipped])
    assert lines == list(range(1, len(MARKED.splitlines()) + 1))


def test_trade_confirmations_are_read_by_their_own_names() -> None:
    header = (
        "ClientAccountID,CurrencyPrimary,AssetClass,Symbol,TradeID,TradeDate,Quantity,Price,Amount,Proceeds,"
        "Commission,CommissionCurrency,Tax,Buy/Sell,Code"
    )
    record = only(parse(f"{header}\nU1,GBP,STK,ACME,8,20260601,10,5,50,-50,-1,GBP,-0.25,BUY,O\n").rows[0])
    assert (record.fees, record.taxes, record.net_amount) == (Decimal(1), Decimal("0.25"), Decimal("-51.25"))
    assert record.external_id == "8:EXECUTION:+"


def test_days_are_asked_for_where_both_readings_fit_and_not_where_one_day_decides() -> None:
    row = "U1,USD,Other Fees,{},-1,FEE,"
    assert parse(f"{CASH}\n{row.format('03/04/2026')}\n").questions[0].about == "date_order"
    parsed = parse(f"{CASH}\n{row.format('03/04/2026')}\n{row.format('25/04/2026')}\n")
    assert parsed.questions == ()
    assert only(parsed.rows[0]).traded_on == date(2026, 4, 3)


def test_short_and_long_rows_are_read_as_far_as_there_are_columns() -> None:
    parsed = parse(f"{CASH}\nU1,USD,Other Fees,20260601,-1\nU1,USD,Other Fees,20260602,-2,FEE,9,beyond\n")
    assert [only(row).net_amount for row in parsed.rows] == [Decimal(-1), Decimal(-2)]


def test_a_marked_file_without_any_heading_is_refused() -> None:
    with pytest.raises(HubError, match="no row names its columns"):
        parse("BOF,U1\nDATA,TRNT,1\nEOF\n")


def test_a_query_of_positions_alone_is_refused_and_the_right_sections_are_named() -> None:
    with pytest.raises(HubError, match=r"Flex query of your positions.*Add the sections Trades"):
        importers.detect(reader.read(b"ClientAccountID,CurrencyPrimary,Symbol,Quantity,MarkPrice\nU1,USD,ACME,1,5\n"))
