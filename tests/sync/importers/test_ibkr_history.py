"""What Interactive Brokers' transaction history says beyond its counts."""

from decimal import Decimal

from connections.brokers.records import TransactionKind, TransactionRecord
from sync import importers
from sync.importers import reader
from sync.importers.base import Choices, ParsedFile

K = TransactionKind
HEAD = """Statement,Header,Field Name,Field Value
Statement,Data,Title,Transaction History
Summary,Header,Field Name,Field Value
Summary,Data,Base Currency,EUR
Summary,Data,Change,{change}
Transaction History,Header,Date,Account,Description,Transaction Type,Symbol,Quantity,Price,Gross Amount \
,Commission,Net Amount
"""


def parse(*rows: str, change: str = "-", head: str = HEAD, choices: Choices | None = None) -> ParsedFile:
    lines = "".join(f"Transaction History,Data,2026-03-0{place},U***1,{row}\n" for place, row in enumerate(rows, 1))
    source = reader.read((head.format(change=change) + lines).encode())
    chosen, _ = importers.detect(source)
    assert chosen.key == "ibkr_history"
    return chosen.parse(source, choices or Choices())


def only(*rows: str) -> TransactionRecord:
    (record,) = parse(*rows).records
    assert isinstance(record, TransactionRecord), record
    return record


def test_amounts_are_in_the_base_currency_and_the_commission_is_a_fee() -> None:
    sold = only("ACME CORP,Sell,ACME,-2,10,20,-1,19")
    assert (sold.currency, sold.gross_amount, sold.fees, sold.net_amount) == ("EUR", 20, 1, 19)
    assert (sold.price, sold.quantity) == (10, -2)


def test_a_price_in_a_currency_the_file_does_not_name_is_not_kept() -> None:
    assert only("ACME CORP,Buy,ACME,2,10,-18.4,-1,-19.4").price is None


def test_the_translation_of_other_currencies_moves_no_cash() -> None:
    told = only("FX Translations P&L,Adjustment,-,-,-,0.55,-,0.55")
    assert (told.kind, told.net_amount, told.instrument) == (K.OTHER, 0, None)


def test_what_is_left_of_an_exchange_keeps_its_tiny_amount() -> None:
    told = only("Net Amount in Base from Forex Trade: 1 EUR.USD,Forex Trade Component,EUR.USD,1,1.1,-2.5E-4,-,-2.5E-4")
    assert (told.kind, told.net_amount, told.instrument) == (K.FX, Decimal("-0.00025"), None)


def test_a_dividend_names_its_isin_and_a_tax_on_interest_no_security() -> None:
    paid = only("ACME(US0000000001) Cash Dividend,Dividend,ACME,-,-,3,-,3")
    assert paid.instrument is not None
    assert paid.instrument.isin == "US0000000001"
    assert only("Withholding on Credit Interest,Foreign Tax Withholding,-,-,-,-1,-,-1").instrument is None


def test_the_sum_is_held_against_the_change_the_file_prints() -> None:
    row = "Transfer,Deposit,-,-,-,5,-,5"
    assert parse(row, change="5.00").warnings == ()
    assert parse(row, change="6.00").warnings == (
        "The file says its cash changed by 6.00 EUR; its rows add up to 5 EUR.",
    )


def test_totals_are_no_transactions() -> None:
    source = HEAD.format(change="-") + "Transaction History,Total,,,,,,,,,,5\n"
    found = importers.detect(reader.read(source.encode()))[0].parse(reader.read(source.encode()))
    assert [row.reason for row in found.skipped] == ["it adds up other rows"]
    assert found.rows == ()


def test_without_a_base_currency_a_row_waits_for_one_to_be_chosen() -> None:
    bare = HEAD.replace("Summary,Data,Base Currency,EUR\n", "")
    row = "Transfer,Deposit,-,-,-,5,-,5"
    assert not isinstance(parse(row, head=bare).records[0], TransactionRecord)
    chosen = parse(row, head=bare, choices=Choices(currency="CHF")).records[0]
    assert isinstance(chosen, TransactionRecord)
    assert chosen.currency == "CHF"
