"""XTB's cash operations as CSV (xStation, Account history, Cash operations, Export).

Seen in rows of 2020 to 2025, in English and Portuguese: semicolons, commas within comments that are not quoted. The
file never names the account's currency. Units and price of a trade stand in the comment, which is in English in every
language. The same row may be printed twice, with the same id: it is one. A purchase and its sale may share an id.
"""

import re
from decimal import Decimal
from typing import ClassVar

from connections.brokers.records import AssetClass, InstrumentRecord, TransactionKind
from sync.importers import instruments
from sync.importers.dates import DAY_FIRST
from sync.importers.numbers import parse_number
from sync.importers.rules import BUY, DIVIDEND, INTEREST, SELL, Rule, bank, by_word, corporate, skipped, transfer
from sync.importers.tabular import Columns, Row, TabularFormat
from sync.importers.words import fold

K = TransactionKind
TYPES: dict[str, Rule] = {
    "stocks/etf purchase": BUY,
    "stock purchase": BUY,
    "acoes/etf compra": BUY,
    "stocks/etf sale": SELL,
    "stock sale": SELL,
    "acoes/etf vende": SELL,
    "dividend": DIVIDEND,
    "divident": DIVIDEND,  # so in some exports
    "withholding tax": Rule(K.TAX, subtype="withholding"),
    "free funds interests": INTEREST,
    "free-funds interest": INTEREST,
    "free funds interests tax": Rule(K.TAX, subtype="on interest"),
    "free-funds interest tax": Rule(K.TAX, subtype="on interest"),
    "deposit": bank(),
    "withdrawal": bank(),
    "transfer": transfer(),
    "profit/loss (fx/cfd)": Rule(K.OTHER, subtype="CFD result"),
    "swap": Rule(K.OTHER, subtype="CFD financing"),
    "spin off": corporate("spin-off"),
    "total": skipped("the total of the file"),
}
SIDES = {"OPEN": BUY, "CLOSE": SELL}
# Where a symbol's exchange trades in one currency. London trades in pounds, dollars and euros, so .UK says nothing.
TRADED_IN = {
    **dict.fromkeys(("DE", "FR", "ES", "PT", "IT", "NL", "BE", "FI"), "EUR"),
    "US": "USD",
    "PL": "PLN",
    "CZ": "CZK",
    "CH": "CHF",
    "DK": "DKK",
    "NO": "NOK",
    "SE": "SEK",
}
_TRADE = re.compile(r"(OPEN|CLOSE) BUY ([\d.]+)(?:/[\d.]+)? @ ([\d.]+)")
CENT = Decimal("0.01")


class XTB(TabularFormat):
    key = "xtb"
    label = "XTB, cash operations"
    institution = "XTB"
    signature = frozenset({"id", "type", "time", "symbol", "comment", "amount"})
    columns = Columns(date="time", word="type", symbol="symbol", name="comment", amount="amount", id="id")
    rules: ClassVar = by_word(TYPES)
    delimiter = ";"
    date_order = DAY_FIRST
    currencies = ("EUR", "USD", "GBP", "PLN", "CZK", "HUF", "RON", "CHF")

    def rule(self, row: Row, word: str) -> Rule | None:
        traded = _TRADE.match(row.text("name"))
        return SIDES[traded[1]] if traded else self.rules.get(fold(word))

    def quantity(self, row: Row, rule: Rule, word: str) -> Decimal | None:
        if rule not in (BUY, SELL):
            return None
        traded = _TRADE.match(row.text("name"))
        units = parse_number(traded[2]) if traded else None
        if not units:
            raise ValueError(f"“{row.text('name')[:40]}” names no units and price like “OPEN BUY 8 @ 11.75”")
        return units if rule is BUY else -units

    def price(self, row: Row) -> Decimal | None:
        """In the currency of the security, which the file does not name: kept where it explains the amount."""
        traded, amount = _TRADE.match(row.text("name")), row.number("amount")
        if traded is None or amount is None:
            return None
        units, price = parse_number(traded[2]), parse_number(traded[3])
        is_same = units is not None and price is not None and abs(units * price - abs(amount)) <= CENT
        return price if is_same else None

    def instrument(self, row: Row, rule: Rule, currency: str) -> InstrumentRecord | None:
        symbol, _, exchange = row.text("symbol").rpartition(".")
        if not symbol or exchange == "cash":  # GBPUSD, US30.cash: contracts for difference
            return instruments.security(row.text("symbol"), currency=currency, asset_class=AssetClass.OTHER)
        spelt = symbol if exchange == "US" else row.text("symbol")
        return instruments.security(spelt, currency=TRADED_IN.get(exchange, currency))

    def external_id(self, row: Row, rule: Rule, word: str) -> str:
        """By kind and not by word, which is in the language the person had chosen."""
        side = "-" if row.text("amount").startswith("-") else "+"
        return f"{row.text('id')} {rule.kind.value} {side}" if row.text("id") else ""
