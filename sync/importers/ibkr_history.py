"""Interactive Brokers' Transaction History as CSV: one table, all amounts in the account's base currency.

The currency of a trade is not given, so its price, which is in that currency, says nothing where it does not fit the
amount. Rows are told by their day alone.
"""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import ClassVar

from connections.brokers.records import Broker, InstrumentRecord, TransactionKind, TransactionRecord
from sync.importers import dates, ibkr_names, numbers
from sync.importers.base import AS_PRINTED, Choices, Match
from sync.importers.reader import Source
from sync.importers.rules import BUY, DIVIDEND, INTEREST, SELL, TAX, Rule, bank, by_word
from sync.importers.tabular import Columns, Reading, Row, TabularFormat

K = TransactionKind
CENT = Decimal("0.01")
FITS = Decimal("0.01")  # of the amount: prices are rounded
TYPES: dict[str, Rule] = {
    "Buy": BUY,
    "Sell": SELL,
    "Dividend": DIVIDEND,
    "Payment in Lieu": Rule(K.DIVIDEND, subtype="in_lieu"),
    "Foreign Tax Withholding": Rule(K.TAX, subtype="withholding"),
    "Sales Tax": TAX,
    "Credit Interest": INTEREST,
    "Debit Interest": Rule(K.INTEREST, subtype="margin"),
    "Investment Interest Received": Rule(K.INTEREST, subtype="bond"),
    "Investment Interest Paid": Rule(K.INTEREST, subtype="bond"),
    "Deposit": bank(),
    "Withdrawal": bank(),
    "Other Fee": Rule(K.FEE),
    "Forex Trade Component": Rule(K.FX),  # what is left of an exchange in the base currency; its legs are not told
    "Adjustment": Rule(K.OTHER, subtype="translation", cash=False),  # of other currencies' value; no cash moves
}


class IbkrHistory(TabularFormat):
    key = "ibkr_history"
    label = "Interactive Brokers, transaction history"
    broker = Broker.IBKR
    institution = "Interactive Brokers"
    signature = frozenset({"transaction history", "header", "date", "transaction type", "net amount"})
    columns = Columns(
        date="date",
        word="transaction type",
        symbol="symbol",
        name="description",
        quantity="quantity",
        price="price",
        amount="net amount",
        fees="commission",
        account="account",
    )
    rules: ClassVar = by_word(TYPES)
    date_order = dates.YEAR_FIRST

    def recognised(self, source: Source, header_row: int, delimiter: str) -> Match | None:
        return Match(score=100, reason="It has the section Transaction History of a statement.")

    def skip(self, row: Row, reading: Reading) -> str:
        return "" if row.cell("header") == "Data" else "it adds up other rows"

    def charges(self, row: Row, currency: str) -> tuple[Decimal, Decimal]:
        return -row.total("fees"), Decimal(0)

    def price(self, row: Row) -> Decimal | None:
        price, quantity, gross = row.number("price"), row.quantity(), numbers.parse_number(row.cell("gross amount"))
        if price is None or not quantity or not gross:
            return None
        worths = (abs(price * quantity) * multiplier for multiplier in (1, 100))
        return price if any(abs(worth - abs(gross)) <= FITS * abs(gross) for worth in worths) else None

    def instrument(self, row: Row, rule: Rule, currency: str) -> InstrumentRecord | None:
        symbol = row.text("symbol")
        if symbol in numbers.NO_VALUE or rule.kind is K.FX:
            return None
        named = ibkr_names.mentioned(row.text("name"), currency, book={})
        if named is not None and named.symbol == symbol.replace(" ", "."):
            return named
        found = ibkr_names.security(symbol, currency, book={})
        return replace(found, name=row.text("name")) if rule.kind in (K.BUY, K.SELL) else found

    def group(self, row: Row, rule: Rule, on: date, reading: Reading) -> str:
        return f"{on} {row.text('symbol')}" if rule.kind is K.FX else ""

    def open(self, source: Source, choices: Choices = AS_PRINTED) -> Reading:
        told = {row[2].strip(): row[3].strip() for row in source.head() if len(row) == 4 and row[1].strip() == "Data"}
        reading = super().open(source, replace(choices, currency=choices.currency or told.get("Base Currency", "")))
        reading.printed = _number(told.get("Change", ""))
        return reading

    def summand(self, record: TransactionRecord) -> Decimal:
        """As printed, also where no cash moves."""
        return numbers.parse_number(record.raw["Net Amount"]) or Decimal(0)

    def finish(self, reading: Reading) -> None:
        if reading.printed is not None and abs(reading.printed - reading.total) > CENT:
            base, total = reading.layout.currency, reading.total
            reading.warnings.append(
                f"The file says its cash changed by {reading.printed} {base}; its rows add up to {total} {base}."
            )


def _number(text: str) -> Decimal | None:
    try:
        return numbers.parse_number(text)
    except ValueError:
        return None
