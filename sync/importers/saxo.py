"""Saxo's transactions as CSV (Account, Transactions, Export).

Seen in exports of 2024 and 2025, in English and Dutch. What was traded stands in the text of the event. Amounts are net
and signed, with a comma or a point before the decimals. Several clients may be in one file.
"""

import re
from decimal import Decimal
from typing import ClassVar

from connections.brokers.records import InstrumentRecord, TransactionKind
from sync.importers import instruments
from sync.importers.dates import DAY_FIRST
from sync.importers.numbers import MIXED, parse_number
from sync.importers.rules import BUY, DIVIDEND, INTEREST, SELL, Rule, bank, by_word
from sync.importers.tabular import Columns, Row, TabularFormat

K = TransactionKind
EVENTS: dict[str, Rule] = {
    "Buy ": BUY,
    "Koop ": BUY,
    "Sell ": SELL,
    "Verkoop ": SELL,
    "Dividend": DIVIDEND,
    "Interest": INTEREST,
    "Rente": INTEREST,
    "Custody Fee": Rule(K.FEE, subtype="custody"),
    "Bewaarloon": Rule(K.FEE, subtype="custody"),
    "Deposit": bank(),
    "Storting": bank(),
    "Withdrawal": bank(),
    "Opname": bank(),
}
_TRADE = re.compile(r"\w+ -?([\d.,]+) @ ([\d.,]+) ([A-Z]{3})")


class Saxo(TabularFormat):
    key = "saxo"
    label = "Saxo, transactions"
    institution = "Saxo"
    signature = frozenset({"client id", "trade date", "value date", "type", "instrument isin", "event", "amount"})
    columns = Columns(
        date="trade date",
        settled="value date",
        word="event",
        symbol="instrument symbol",
        isin="instrument isin",
        name="instrument",
        amount="amount",
        currency="instrument currency",
        account="client id",
    )
    rules: ClassVar = by_word(EVENTS)
    by_prefix = True
    date_order = DAY_FIRST
    decimal = MIXED

    def quantity(self, row: Row, rule: Rule, word: str) -> Decimal | None:
        if rule not in (BUY, SELL):
            return None
        units = parse_number(_traded(word)[1])
        return None if units is None else (units if rule is BUY else -units)

    def price(self, row: Row) -> Decimal | None:
        traded = _traded(row.text("word"))
        return parse_number(traded[2]) if traded[3] == self.row_currency(row) else None

    def instrument(self, row: Row, rule: Rule, currency: str) -> InstrumentRecord | None:
        symbol = row.text("symbol").partition(":")[0]  # VWRL:xams, with the exchange behind
        return instruments.security(symbol, name=row.text("name"), isin=row.text("isin"), currency=currency)

    def description(self, row: Row) -> str:
        return row.text("name") or row.text("word")


def _traded(event: str) -> re.Match[str]:
    found = _TRADE.fullmatch(event)
    if found is None:
        raise ValueError(f"“{event[:40]}” names no units and price like “Buy 3 @ 139.74 USD”")
    return found
