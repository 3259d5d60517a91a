"""Swissquote's transactions as CSV (Account, Transactions, Export).

Seen in an export of 2022: semicolons, net amounts with a sign, a running balance per currency. Rows about money only
have a quantity of 1. The two sides of a currency exchange, and the fills of one order, share the order's number.
"""

from datetime import date
from typing import ClassVar

from connections.brokers.records import TransactionKind
from sync.importers.dates import DAY_FIRST
from sync.importers.rules import BUY, DIVIDEND, FEE, INTEREST, SELL, Rule, bank, by_word
from sync.importers.tabular import Columns, Reading, Row, TabularFormat

K = TransactionKind
TYPES: dict[str, Rule] = {
    "Buy": BUY,
    "Sell": SELL,
    "Dividend": DIVIDEND,
    "Capital Gain": Rule(K.DIVIDEND, subtype="capital gain"),
    "Interests": INTEREST,
    "Custody Fees": Rule(K.FEE, subtype="custody"),
    "Fees": FEE,
    "Debit": bank(),
    "Credit": bank(),
    "Payment": bank(),
    "Forex credit": Rule(K.FX),
    "Forex debit": Rule(K.FX),
}


class Swissquote(TabularFormat):
    key = "swissquote"
    label = "Swissquote, transactions"
    institution = "Swissquote"
    signature = frozenset({"date", "order #", "transaction", "isin", "unit price", "accrued interest", "net amount"})
    columns = Columns(
        date="date",
        word="transaction",
        symbol="symbol",
        isin="isin",
        name="name",
        quantity="quantity",
        price="unit price",
        amount="net amount",
        fees="costs",
        currency="currency",
    )
    rules: ClassVar = by_word(TYPES)
    delimiter = ";"
    date_order = DAY_FIRST

    def group(self, row: Row, rule: Rule, on: date, reading: Reading) -> str:
        return row.cell("order #").strip("0") and row.cell("order #")
