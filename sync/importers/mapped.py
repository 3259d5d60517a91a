"""A file read by a mapping: its columns and words are what a person, or a table of ours, says they are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import ClassVar

from connections.brokers.records import InstrumentRecord, TransactionKind, TransactionRecord
from sync.importers import instruments
from sync.importers.base import AS_PRINTED, Choices, Match
from sync.importers.mapping import FIELDS, ColumnMapping
from sync.importers.reader import Cells, Source, Table
from sync.importers.rules import BUY, SELL, Rule, Sign, bank
from sync.importers.tabular import ZERO, Columns, Reading, Row, TabularFormat
from sync.importers.words import fold

K = TransactionKind
MONEY = bank()
IN_KIND = {
    K.TRANSFER_IN: Rule(K.TRANSFER_IN, Sign.IN, "in_kind", cash=False),
    K.TRANSFER_OUT: Rule(K.TRANSFER_OUT, Sign.OUT, "in_kind", cash=False),
}


class MappedFormat(TabularFormat):
    """Columns may be named in any case and with or without accents; each field's first column the file has counts."""

    key = "mapped"
    label = "Your own columns"
    institution = "this file"
    signature = frozenset()
    columns = Columns(date="")
    rules: ClassVar[Mapping[str, Rule]] = {}
    decimal = ""
    date_order = ""
    currencies = ("USD", "EUR", "GBP", "CHF", "CAD", "AUD", "JPY", "SEK", "NOK", "DKK", "PLN")

    def __init__(self, mapping: ColumnMapping) -> None:
        self.mapping = mapping
        self.meanings = mapping.rules()

    # --- Where things stand ---
    def recognised(self, source: Source, header_row: int, delimiter: str) -> Match:
        return Match(score=70, reason=f"The file has all columns of “{self.label}”.")

    def header_row(self, source: Source, delimiter: str) -> int | None:
        return next((at for at, cells in enumerate(source.head(delimiter)) if self._has_all(cells)), None)

    def _has_all(self, cells: Cells) -> bool:
        """Whether each field that has been mapped has a column of the file."""
        names = {fold(cell) for cell in cells}
        return all(not names.isdisjoint(map(fold, columns)) for columns in self.mapping.columns.values() if columns)

    def places(self, header: Sequence[str]) -> dict[str, tuple[str, ...]]:
        known = {fold(name): name.casefold() for name in header}
        found: dict[str, tuple[str, ...]] = dict.fromkeys(FIELDS, ())
        for place, columns in self.mapping.columns.items():
            found[place] = tuple(known[fold(column)] for column in columns if fold(column) in known)
        return found

    def usual_currency(self, table: Table, places: Mapping[str, tuple[str, ...]]) -> str:
        """That of most rows."""
        codes = Counter(cell.strip().upper() for name in places["currency"] for cell in table.column(name))
        del codes[""]
        return codes.most_common(1)[0][0] if codes else ""

    def open(self, source: Source, choices: Choices = AS_PRINTED) -> Reading:
        said = self.mapping
        return super().open(
            source,
            Choices(
                date_order=choices.date_order or said.date_order,
                decimal=choices.decimal or said.decimal,
                delimiter=choices.delimiter or said.delimiter,
                currency=choices.currency or said.currency,
                words=choices.words,
            ),
        )

    def ends(self, row: Row) -> str:
        begins = tuple(fold(text) for text in self.mapping.footers)
        return "footer" if begins and fold(row.first).startswith(begins) else ""

    # --- What a row says ---
    def rule(self, row: Row, word: str) -> Rule | None:
        """A transfer with units is one of securities. Without a column that says what happened the signs do."""
        if not self.mapping.columns.get("word"):
            return self._by_sign(row)
        rule = self.meanings.get(fold(word))
        return IN_KIND.get(rule.kind, rule) if rule is not None and row.quantity() else rule

    def _by_sign(self, row: Row) -> Rule:
        units, amount = row.quantity(), row.number("amount")
        if not units:
            return MONEY
        is_sale = units < 0 or (self.mapping.signed and amount is not None and amount > 0)
        return SELL if is_sale else BUY

    def quantity(self, row: Row, rule: Rule, word: str) -> Decimal | None:
        """A trade of no units is kept, with a note; one that does not say how many is not."""
        return ZERO if rule in (BUY, SELL) and row.quantity() == 0 else super().quantity(row, rule, word)

    def amount(self, row: Row, rule: Rule) -> Decimal | None:
        """Net. Where there is none printed it is units times price, and what was charged comes on top of that."""
        printed, fees, taxes = row.number("amount"), *self.charges(row, "")
        if printed is not None:
            charged = fees + taxes if self.mapping.fees_on_top else ZERO
            return self._signed(printed, rule) - charged
        units, price = row.quantity(), row.number("price")
        if not rule.needs_amount or units is None or price is None:
            return -(fees + taxes) or None
        return _of_kind(abs(units * price), rule) - fees - taxes

    def _signed(self, printed: Decimal, rule: Rule) -> Decimal:
        return printed if self.mapping.signed else _of_kind(printed, rule)

    def charges(self, row: Row, currency: str) -> tuple[Decimal, Decimal]:
        return abs(row.total("fees")), abs(row.total("taxes"))

    def instrument(self, row: Row, rule: Rule, currency: str) -> InstrumentRecord | None:
        """A trade of what has neither symbol nor ISIN is known by its name. Raises ValueError without one."""
        symbol, isin = row.text("symbol"), row.text("isin")
        is_trade = rule.kind in (K.BUY, K.SELL)
        if not symbol and not isin and is_trade:
            symbol = self.description(row)
            if not symbol:
                raise ValueError("A trade needs a symbol, an ISIN or a name")
        return instruments.security(
            symbol, name=row.text("name"), isin=isin or symbol, cusip=row.text("cusip"), currency=currency
        )

    def description(self, row: Row) -> str:
        return row.text("description") or row.text("name")

    def notes(self, row: Row, record: TransactionRecord) -> tuple[str, ...]:
        notes = list(super().notes(row, record))
        if record.kind in (K.BUY, K.SELL):
            if not record.quantity:
                notes.append("The row trades no units.")
            if not row.text("symbol") and not row.text("isin"):
                notes.append("It has neither symbol nor ISIN; its name stands for it.")
        if record.kind is K.SPLIT and record.quantity is None:
            notes.append("The file gives the ratio; how many units were added is for you to say.")
        if self.mapping.columns.get("currency") and not row.text("currency"):
            notes.append(f"It names no currency and was read as {record.currency}.")
        return tuple(notes)


def _of_kind(value: Decimal, rule: Rule) -> Decimal:
    return -abs(value) if rule.takes_money else value
