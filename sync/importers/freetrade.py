"""Freetrade's activity feed as CSV (Activity, Export).

Seen in an export of 2024. Amounts have no sign and are in the currency of the account, fees and duties included. An
order has an id; dividends, interest and payments have none. A free share is given: its value is no money.
"""

from typing import ClassVar

from connections.brokers.records import InstrumentRecord, TransactionKind
from sync.importers import instruments
from sync.importers.dates import YEAR_FIRST
from sync.importers.rules import BUY, DIVIDEND, INTEREST, SELL, Rule, Sign, bank, by_word, skipped
from sync.importers.tabular import Columns, Row, TabularFormat

K = TransactionKind
TYPES: dict[str, Rule] = {
    "ORDER BUY": BUY,
    "ORDER SELL": SELL,
    "DIVIDEND": DIVIDEND,
    "PROPERTY": Rule(K.DIVIDEND, subtype="property income"),  # of a real estate trust
    "INTEREST_FROM_CASH": INTEREST,
    "TOP_UP": bank(),
    "WITHDRAWAL": Rule(K.WITHDRAWAL),
    "FREESHARE_ORDER BUY": Rule(K.OTHER, Sign.IN, "free share", cash=False),
    "MONTHLY_STATEMENT": skipped("a statement, no transaction"),
    "TAX_CERTIFICATE": skipped("a certificate, no transaction"),
}


class Freetrade(TabularFormat):
    key = "freetrade"
    label = "Freetrade, activity"
    institution = "Freetrade"
    signature = frozenset({"title", "type", "timestamp", "account currency", "total amount", "buy / sell"})
    columns = Columns(
        date="timestamp",
        word="type",
        symbol="ticker",
        isin="isin",
        name="title",
        quantity="quantity",
        price="price per share in account currency",
        amount="total amount",
        fees="fx fee amount",
        taxes="stamp duty",
        currency="account currency",
        id="order id",
    )
    rules: ClassVar = by_word(TYPES)
    date_order = YEAR_FIRST
    signed = False

    def word(self, row: Row) -> str:
        return f"{row.text('word')} {row.cell('buy / sell')}".strip()

    def instrument(self, row: Row, rule: Rule, currency: str) -> InstrumentRecord | None:
        return instruments.security(
            row.text("symbol"),
            name=row.text("name"),
            isin=row.text("isin"),
            currency=row.cell("instrument currency").upper() or currency,
        )
