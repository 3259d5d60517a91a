"""Avanza's transactions as CSV (Min ekonomi, Transaktioner, Exportera).

Seen in an export of 2025: semicolons, a comma before the decimals, Swedish words, several accounts in one file. Prices
are in the currency of the security, amounts in that of the account. "Övrigt" ("other") is told apart by its text; fund
units that are exchanged come under it too, without money.
"""

from decimal import Decimal
from typing import ClassVar

from connections.brokers.records import InstrumentRecord, TransactionKind
from sync.importers import instruments
from sync.importers.dates import YEAR_FIRST
from sync.importers.numbers import COMMA
from sync.importers.rules import BUY, DIVIDEND, INTEREST, SELL, TAX, Rule, Sign, bank, by_word
from sync.importers.tabular import ZERO, Columns, Row, TabularFormat
from sync.importers.words import fold

K = TransactionKind
OTHER = "ovrigt"
TYPES: dict[str, Rule] = {
    "kop": BUY,
    "salj": SELL,
    "utdelning": DIVIDEND,
    "ranta": INTEREST,
    "insattning": bank(),
    "uttag": bank(),
    "utlandsk kallskatt": Rule(K.TAX, subtype="withholding"),
    OTHER: Rule(K.OTHER, Sign.PRINTED),
}
YIELD_TAX = ("avkastningsskatt", "preliminarskatt")


class Avanza(TabularFormat):
    key = "avanza"
    label = "Avanza, transactions"
    institution = "Avanza"
    signature = frozenset({"datum", "konto", "typ av transaktion", "antal", "kurs", "belopp", "isin"})
    columns = Columns(
        date="datum",
        word="typ av transaktion",
        name=("värdepapper/beskrivning", "vã¤rdepapper/beskrivning"),  # the second: encoded twice
        quantity="antal",
        price="kurs",
        amount="belopp",
        fees=("courtage (sek)", "courtage"),
        currency=("transaktionsvaluta", "valuta"),
        account="konto",
        isin="isin",
    )
    rules: ClassVar = by_word(TYPES)
    delimiter = ";"
    decimal = COMMA
    date_order = YEAR_FIRST
    currency = "SEK"

    def rule(self, row: Row, word: str) -> Rule | None:
        folded = fold(word)
        return TAX if folded == OTHER and fold(row.text("name")).startswith(YIELD_TAX) else self.rules.get(folded)

    def charges(self, row: Row, currency: str) -> tuple[Decimal, Decimal]:
        """The courtage is in kronor; in another currency's row it is not added to what is none of it."""
        in_kronor = "courtage (sek)" in row.layout.places["fees"]
        return (ZERO, ZERO) if in_kronor and currency != "SEK" else super().charges(row, currency)

    def price(self, row: Row) -> Decimal | None:
        return row.number("price") if _traded_in(row, self.row_currency(row)) == self.row_currency(row) else None

    def instrument(self, row: Row, rule: Rule, currency: str) -> InstrumentRecord | None:
        return instruments.security(
            "", name=row.text("name"), isin=row.text("isin"), currency=_traded_in(row, currency)
        )


def _traded_in(row: Row, currency: str) -> str:
    return row.cell("instrumentvaluta").upper() or currency
