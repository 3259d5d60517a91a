"""Rejected rows of markup as a table of the hub's own columns: what could be read is filled in, the row as it came
stands beside it. Mended and uploaded again, the table is a format like any other.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, ClassVar, Protocol, runtime_checkable

from connections.brokers.records import ParkedRecord, TransactionKind, TransactionRecord
from sync.importers.base import FileRow, Format, Match
from sync.importers.dates import YEAR_FIRST, parse_date
from sync.importers.numbers import parse_number
from sync.importers.reader import Source
from sync.importers.rules import Rule, Sign
from sync.importers.tabular import Columns, Row, TabularFormat

K = TransactionKind
AS_IT_CAME = "As it came"
# The table's columns, and the field of Columns each is; the last is for people alone.
FIELDS: dict[str, str] = {
    "Date": "date",
    "Settled": "settled",
    "What happened": "word",
    "Symbol": "symbol",
    "ISIN": "isin",
    "CUSIP": "cusip",
    "Name": "name",
    "Quantity": "quantity",
    "Price": "price",
    "Fees": "fees",
    "Taxes": "taxes",
    "Amount": "amount",
    "Currency": "currency",
    "Account": "account",
    "Id at the broker": "id",
    AS_IT_CAME: "",
}
DAYS, NUMBERS = ("date", "settled"), ("quantity", "price", "fees", "taxes", "amount")
MONEY_ONLY = (K.DIVIDEND, K.INTEREST, K.FEE, K.TAX, K.DEPOSIT, K.WITHDRAWAL)
WORDS = ", ".join(kind.label for kind in K)


@runtime_checkable
class Telling(Protocol):
    """A format of markup that knows where its rows say what."""

    def told(self, raw: Mapping[str, Any]) -> Mapping[str, str]:
        """What a row that could not be read says, by field of Columns, as it is printed. `word` is a kind, or ""."""
        ...


def table(row: FileRow, format: Format) -> Iterator[dict[str, str]]:
    """A row of the file as rows of the table: one for each record."""
    for record in row.records:
        if isinstance(record, TransactionRecord):
            said = _of_record(record)
        else:
            said = {**_in_our_spelling(format.told(record.raw) if isinstance(format, Telling) else {})}
            said["id"] = record.external_id or said.get("id", "")
        said["account"] = row.account_hint
        cells = {column: said.get(field, "") for column, field in FIELDS.items()}
        yield {**cells, AS_IT_CAME: _as_it_came(record)}


def _of_record(record: TransactionRecord) -> dict[str, str]:
    traded = record.instrument
    return {
        "date": record.traded_on.isoformat(),
        "settled": record.settled_on.isoformat() if record.settled_on else "",
        "word": record.kind.label,
        "symbol": traded.symbol if traded else "",
        "isin": traded.isin if traded else "",
        "cusip": traded.cusip if traded else "",
        "name": record.description or (traded.name if traded else ""),
        "quantity": _plain(record.quantity),
        "price": _plain(record.price),
        "fees": _plain(record.fees or None),
        "taxes": _plain(record.taxes or None),
        "amount": _plain(record.net_amount),
        "currency": record.currency,
        "id": record.external_id,
    }


def _in_our_spelling(told: Mapping[str, str]) -> dict[str, str]:
    """Days and numbers as this table has them; what is none stays as it is printed, to be mended."""
    said = dict(told)
    for field in DAYS:
        said[field] = _day(said.get(field, ""))
    for field in NUMBERS:
        said[field] = _number(said.get(field, ""))
    if said.get("word"):
        said["word"] = K(said["word"]).label
    return said


def _day(text: str) -> str:
    bare = text.partition(";")[0]
    bare = bare[:8] if bare[:8].isdigit() else bare  # OFX writes the time right behind the day
    try:
        return parse_date(bare, YEAR_FIRST).isoformat()
    except ValueError:
        return text


def _number(text: str) -> str:
    try:
        return _plain(parse_number(text))
    except ValueError:
        return text


def _plain(number: Decimal | None) -> str:
    return "" if number is None else f"{number:f}"


def _as_it_came(record: TransactionRecord | ParkedRecord) -> str:
    return "; ".join(f"{name}={value}" if name else f"{value}" for name, value in record.raw.items() if value)


class HandedBack(TabularFormat):
    """Everything is signed: units and money that leave have a minus. The words are the hub's kinds."""

    key = "handed_back"
    label = "Rejected rows of the hub, mended"
    institution = "the hub"
    signature = frozenset(column.casefold() for column in FIELDS)
    columns = Columns(**{field: column.casefold() for column, field in FIELDS.items() if field})
    date_order = YEAR_FIRST
    rules: ClassVar[Mapping[str, Rule]] = {
        word: Rule(kind, Sign.NONE if kind in MONEY_ONLY else Sign.PRINTED)
        for kind in K
        for word in (kind.label.casefold(), kind.value)
    }

    def recognised(self, source: Source, header_row: int, delimiter: str) -> Match:
        return Match(score=100, reason="The file has rows the hub handed back to be mended.")

    def rule(self, row: Row, word: str) -> Rule | None:
        """Raises ValueError: who mends a row says what happened."""
        if not word:
            raise ValueError(f"Say what happened; the words are {WORDS}")
        rule = self.rules.get(word.casefold())
        if rule is None:
            raise ValueError(f"“{word[:40]}” is none of the hub's words, which are {WORDS}")
        return rule

    def quantity(self, row: Row, rule: Rule, word: str) -> Decimal | None:
        units = super().quantity(row, rule, word)
        if units is None and rule.kind in (K.BUY, K.SELL):
            raise ValueError(f"A row “{word}” needs a quantity")
        if units is None and rule.sign is Sign.PRINTED and row.number("amount") is None:
            raise ValueError(f"A row “{word}” needs an amount or a quantity")
        return units
