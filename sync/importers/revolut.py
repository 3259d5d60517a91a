"""Revolut's trading account statement as CSV (Invest, Statements, Account statement).

Seen in rows of 2019 to 2025. Amounts carry the sign of the currency; those of purchases have no minus. A row has no id:
its time is exact, but statements of different years print it with three digits or six.
"""

from decimal import Decimal
from typing import ClassVar

from connections.brokers.records import TransactionKind
from sync.importers.dates import YEAR_FIRST
from sync.importers.numbers import COMMA, POINT, parse_number
from sync.importers.rules import BUY, DIVIDEND, FEE, SELL, SPLIT, Rule, Sign, bank, by_word, corporate
from sync.importers.tabular import Columns, Row, TabularFormat

K = TransactionKind
TYPES: dict[str, Rule] = {
    "CASH TOP-UP": bank(),
    "CASH WITHDRAWAL": Rule(K.WITHDRAWAL),
    "DIVIDEND": DIVIDEND,
    "CUSTODY FEE": FEE,
    "ROBO MANAGEMENT FEE": FEE,
    "STOCK SPLIT": SPLIT,
    "MERGER - STOCK": corporate("merger"),
    "SPINOFF": corporate("spin-off"),
}
ORDERS = {
    "BUY - ": BUY,
    "SELL - ": SELL,
    # Between two companies of Revolut's, of the same account: the shares are told here, but none come or go.
    "TRANSFER FROM REVOLUT": Rule(K.OTHER, subtype="change of entity"),
}


class RevolutInvest(TabularFormat):
    key = "revolut_invest"
    label = "Revolut, trading account statement"
    institution = "Revolut"
    signature = frozenset(
        {"date", "ticker", "type", "quantity", "price per share", "total amount", "currency", "fx rate"}
    )
    columns = Columns(
        date="date",
        word="type",
        symbol="ticker",
        quantity="quantity",
        price="price per share",
        amount="total amount",
        currency="currency",
    )
    rules: ClassVar = by_word(TYPES)
    date_order = YEAR_FIRST
    signed = False

    def rule(self, row: Row, word: str) -> Rule | None:
        begins = next((rule for start, rule in ORDERS.items() if word.upper().startswith(start)), None)
        return begins or super().rule(row, word)

    def quantity(self, row: Row, rule: Rule, word: str) -> Decimal | None:
        """Some statements print units with a comma before the decimals, though amounts have a point."""
        printed = row.text("quantity")
        if "," not in printed or "." in printed or rule.sign is Sign.NONE:
            return super().quantity(row, rule, word)
        units = _closest(printed, row.number("price"), row.number("amount"))
        return -units if rule is SELL else units


def _closest(printed: str, price: Decimal | None, amount: Decimal | None) -> Decimal:
    """Of both readings of `1,234` the one that explains the amount; decimals where none does. Raises ValueError."""
    decimals = parse_number(printed, COMMA)
    try:
        thousands = parse_number(printed, POINT)
    except ValueError:
        thousands = None
    if decimals is None:
        raise ValueError(f"“{printed[:40]}” is not a number")
    if thousands is None or price is None or amount is None:
        return decimals
    return min((decimals, thousands), key=lambda units: abs(units * price - abs(amount)))
