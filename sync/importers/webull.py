"""Webull's order history as CSV: orders, not cash. What an order moved is worked out: units x average price."""

from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from typing import ClassVar

from connections.brokers.records import InstrumentRecord, TransactionKind, TransactionRecord
from sync.importers import instruments
from sync.importers.rules import BUY, SELL, Rule, Sign, by_word
from sync.importers.tabular import Columns, Reading, Row, TabularFormat

K = TransactionKind
CENT = Decimal("0.01")


class Webull(TabularFormat):
    key = "webull_orders"
    label = "Webull, order history"
    institution = "Webull"
    signature = frozenset(
        {"symbol", "side", "status", "filled", "total qty", "avg price", "placed time", "filled time"}
    )
    columns = Columns(
        date=("filled time", "placed time"),
        word="side",
        symbol="symbol",
        name="name",
        quantity="filled",
        price="avg price",
    )
    currency = "USD"
    rules: ClassVar = by_word({"Buy": BUY, "Sell": SELL, "Short": Rule(K.SELL, Sign.OUT, "short")})

    def skip(self, row: Row, reading: Reading) -> str:
        return "" if row.quantity() else f"an order of which nothing was filled ({row.cell('status').casefold()})"

    def amount(self, row: Row, rule: Rule) -> Decimal | None:
        units, price = row.quantity(), row.number("price")
        if units is None or price is None:
            return None
        thing = self.instrument(row, rule, self.currency)
        cash = (abs(units) * abs(price) * (thing.multiplier if thing else 1)).quantize(CENT, ROUND_HALF_UP)
        return -cash if rule.sign is Sign.IN else cash

    def instrument(self, row: Row, rule: Rule, currency: str) -> InstrumentRecord | None:
        symbol, name = row.text("symbol"), row.text("name")
        contract = instruments.osi(symbol) or instruments.compact_option(symbol)
        return instruments.option_named(contract, name=name) if contract else instruments.security(symbol, name=name)

    def record(self, row: Row, rule: Rule, word: str, reading: Reading) -> TransactionRecord:
        """An order filled further in a later file is the same order: it is known by when and how it was placed."""
        found = super().record(row, rule, word, reading)
        placed = row.cell("placed time")
        if ":" not in placed:
            return found
        name = f"{placed} {row.text('symbol')} {word} {row.cell('total qty')} {row.cell('price')}"
        reading.pairs[name] = reading.pairs.get(name, 0) + 1
        twin = f" #{reading.pairs[name]}" if reading.pairs[name] > 1 else ""
        return replace(found, external_id=f"{name}{twin}")

    def notes(self, row: Row, record: TransactionRecord) -> tuple[str, ...]:
        """Fees are in no column, so the cash may be some cents more than what moved."""
        partly = row.cell("status").casefold().startswith("partial")
        told = ("The order was only partly filled when the file was made.",) if partly else ()
        return (*super().notes(row, record), *told)

    def finish(self, reading: Reading) -> None:
        if reading.rows:
            reading.warnings.append(
                "Webull's order history names no fees and no deposits, dividends or interest: the cash of its trades "
                "is units times price, and the account's cash cannot be told from it."
            )
