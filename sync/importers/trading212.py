"""Trading 212's history as CSV (History, Export).

Seen in exports of 2023 to 2025. Totals have no sign and are in the currency of the account, fees and taxes included;
prices are in the currency of the security. An order's id occurs once per action at most; dividends have none. Older
exports name the account's currency in the headings, `Total (GBP)`. Since 2025 notes and id stand before the number of
shares, and rows of such an export pasted below an older heading are still understood.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import ClassVar

from connections.brokers.records import InstrumentRecord, TransactionKind, TransactionRecord
from sync.importers import instruments
from sync.importers.base import Record
from sync.importers.dates import YEAR_FIRST
from sync.importers.numbers import parse_number
from sync.importers.rules import BUY, DIVIDEND, FEE, INTEREST, SELL, Rule, Sign, bank, by_word
from sync.importers.tabular import ZERO, Columns, Reading, Row, TabularFormat

K = TransactionKind
CURRENCIES = ("GBP", "EUR", "USD", "CHF", "PLN", "CZK", "RON", "HUF", "BGN", "NOK", "SEK", "DKK", "AUD", "CAD")
PENCE = {"GBX": "GBP", "GBp": "GBP", "ILA": "ILS", "ZAC": "ZAR"}  # a hundredth of the currency it is a part of

ACTIONS: dict[str, Rule] = {
    "Deposit": bank(),
    "Withdrawal": Rule(K.WITHDRAWAL),
    "Interest on cash": INTEREST,
    "Lending interest": Rule(K.INTEREST, subtype="stock lending"),
    "Stock split close": Rule(K.SPLIT, Sign.OUT, "split", paired=True, cash=False),  # all shares are taken out
    "Stock split open": Rule(K.SPLIT, Sign.IN, "split", paired=True, cash=False),  # and put in anew
    "Stock distribution": Rule(K.CORPORATE_ACTION, Sign.IN, "stock distribution"),
    "Transfer in": Rule(K.TRANSFER_IN, Sign.IN, "in_kind", cash=False),  # the total is what the shares were worth
    "Transfer out": Rule(K.TRANSFER_OUT, Sign.OUT, "in_kind", cash=False),
    "Result adjustment": Rule(K.OTHER, subtype="result adjustment"),
    "Card debit": Rule(K.WITHDRAWAL, subtype="card"),
    "Card credit": Rule(K.DEPOSIT, subtype="card"),
    "New card cost": Rule(K.FEE, subtype="card"),
    "Spending cashback": Rule(K.OTHER, subtype="cashback"),
}
FEES = ("currency conversion fee", "transaction fee", "finra fee", "deposit fee", "charge amount")
TAXES = ("withholding tax", "stamp duty", "stamp duty reserve tax", "french transaction tax", "ptm levy")

_BEFORE_SHARES = ("no. of shares", "price / share", "currency (price / share)", "exchange rate", "result")
_TWO_ON = (*_BEFORE_SHARES, "currency (result)", "total", "currency (total)", "withholding tax")
_ORDER = re.compile(r"[A-Z]{3}\d{6,}", re.ASCII)


class Trading212(TabularFormat):
    key = "trading212"
    label = "Trading 212, history"
    institution = "Trading 212"
    signature = frozenset({"action", "time", "isin", "ticker", "name", "no. of shares", "price / share"})
    columns = Columns(
        date="time",
        word="action",
        symbol="ticker",
        isin="isin",
        name="name",
        quantity="no. of shares",
        price="price / share",
        amount=("total", *(f"total ({code.casefold()})" for code in CURRENCIES)),
        currency="currency (total)",
        id="id",
    )
    rules: ClassVar[Mapping[str, Rule]] = by_word(ACTIONS)
    date_order = YEAR_FIRST
    signed = False

    def rule(self, row: Row, word: str) -> Rule | None:
        """Orders are named by their type: `Market buy`, `Stop limit sell`; dividends by theirs in brackets."""
        folded = word.casefold()
        if folded.endswith(" buy"):
            return BUY
        if folded.endswith(" sell"):
            return SELL
        kind = re.fullmatch(r"dividend(?: \((.*)\))?", folded)
        if kind:
            return DIVIDEND if kind[1] in (None, "dividend") else Rule(K.DIVIDEND, subtype=kind[1][:40])
        return FEE if folded.endswith(" fee") else self.rules.get(folded)

    def records(self, row: Row, rule: Rule, word: str, reading: Reading) -> tuple[Record, ...]:
        return super().records(_aligned(row), rule, word, reading)

    def row_currency(self, row: Row) -> str:
        in_heading = next((name[-4:-1].upper() for name in row.layout.places["amount"] if name != "total"), "")
        return row.text("currency").upper() or in_heading or super().row_currency(row)

    def charges(self, row: Row, currency: str) -> tuple[Decimal, Decimal]:
        """Those in the account's currency: what was withheld abroad in another is not added to what is none of it."""
        return _sum(row, FEES, currency), _sum(row, TAXES, currency)

    def price(self, row: Row) -> Decimal | None:
        """None where it is in another currency than the row's money."""
        printed, code = row.number("price"), row.cell("currency (price / share)")
        if printed is None or PENCE.get(code, code) != self.row_currency(row):
            return None
        return printed / 100 if code in PENCE else printed

    def instrument(self, row: Row, rule: Rule, currency: str) -> InstrumentRecord | None:
        code = row.cell("currency (price / share)")
        return instruments.security(
            row.text("symbol"), name=row.text("name"), isin=row.text("isin"), currency=PENCE.get(code, code) or currency
        )

    def description(self, row: Row) -> str:
        return row.text("name") or row.cell("notes")

    def external_id(self, row: Row, rule: Rule, word: str) -> str:
        return f"{row.text('id')} {word}" if row.text("id") else ""

    def group(self, row: Row, rule: Rule, on: date, reading: Reading) -> str:
        return f"{on:%Y%m%d} {rule.subtype} {row.text('isin')}" if rule.paired else ""

    def notes(self, row: Row, record: TransactionRecord) -> tuple[str, ...]:
        warnings = super().notes(row, record)
        if _aligned(row) is not row:
            return (*warnings, "The cells stand two columns to the right, as in newer exports; they were read so.")
        return warnings


def _aligned(row: Row) -> Row:
    """A row of the newer layout under the older heading, its cells where they belong; any other row as it is."""
    if row.cell("no. of shares") or not _ORDER.fullmatch(row.cell("price / share")):
        return row
    cells = dict(row.cells)
    names = [name for name in row.cells if name in _TWO_ON or name == "currency (withholding tax)"]
    moved = dict(zip(names, [cells[name] for name in names[2:]], strict=False))
    cells |= moved | dict.fromkeys(names[-2:], "") | {"id": cells["price / share"], "notes": ""}
    return replace(row, cells=cells)


def _sum(row: Row, names: tuple[str, ...], currency: str) -> Decimal:
    """Of the columns printed in `currency`, which a column beside it names, or its own heading. Raises ValueError."""
    total = ZERO
    for name in names:
        printed = row.cell(name) if row.cell(f"currency ({name})") == currency else ""
        printed = printed or row.cell(f"{name} ({currency.casefold()})")
        if printed:
            total += parse_number(printed) or ZERO
    return total
