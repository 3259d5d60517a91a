"""DEGIRO's account statement as CSV (Inbox, Account Overview, Export).

Seen in rows of 2019 to 2025 in Dutch, French, Spanish, Portuguese and English, headings and descriptions alike: the
columns are known by their order, since two of them have no name in any language, and descriptions by how they begin.
Every movement of money is a row of its own: a trade, its costs and both sides of its currency exchange share an order
id, which may be broken onto a row by itself. Money swept to and from the bank account beside it, and reservations, are
told without being anybody's payment.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import ClassVar

from connections.brokers.records import InstrumentRecord, TransactionKind, TransactionRecord
from sync.importers import instruments
from sync.importers.dates import DAY_FIRST
from sync.importers.numbers import COMMA, POINT, parse_number, style_of
from sync.importers.reader import Source
from sync.importers.rules import BUY, DIVIDEND, FEE, INTEREST, SELL, TAX, Rule, Sign, bank, by_word
from sync.importers.tabular import Columns, Reading, Row, TabularFormat
from sync.importers.words import fold

K = TransactionKind
# The twelve columns in their order.
ORDER = ("date", "time", "settled", "name", "isin", "word", "rate", "currency", "amount", "held", "balance", "order")
FIRST = frozenset({"date", "datum", "data", "fecha", "dato", "paivamaara"})

_FX = Rule(K.FX)
_SWEEP = Rule(K.OTHER, subtype="cash sweep")
_TOLD = Rule(K.OTHER, subtype="cash sweep", cash=False)  # the amount stands in the text, the movement in another row
_FUND = Rule(K.OTHER, subtype="money fund")
# How descriptions begin, without accents; of several the longest counts.
DESCRIPTIONS: dict[str, Rule] = {
    **dict.fromkeys(("dividend", "dividende", "dividendo"), DIVIDEND),
    **dict.fromkeys(
        ("dividendbelasting", "impots sur dividende", "dividend tax", "impuesto sobre dividendo"),
        Rule(K.TAX, subtype="withholding"),
    ),
    **dict.fromkeys(("imposto sobre dividendo", "retencion del dividendo"), Rule(K.TAX, subtype="withholding")),
    **dict.fromkeys(("stamp duty", "london stock exchange stamp duty", "frais de transaction france"), TAX),
    **dict.fromkeys(
        (
            "degiro transactiekosten",
            "degiro transaction",
            "transaction fee",
            "frais degiro",
            "comissoes de transacao",
            "costes de transaccion",
            "transaktionsgebuhr",
        ),
        Rule(K.FEE, subtype="commission"),
    ),
    **dict.fromkeys(("degiro corporate action", "degiro dienst"), FEE),
    **dict.fromkeys(
        (
            "degiro aansluitingskosten",
            "degiro exchange connection fee",
            "giro exchange connection fee",
            "frais de connexion",
            "custo de conectividade",
        ),
        Rule(K.FEE, subtype="exchange connection"),
    ),
    **dict.fromkeys(("valuta creditering", "valuta debitering", "fx credit", "fx debit", "wahrungswechsel"), _FX),
    **dict.fromkeys(("ingreso cambio de divisa", "retirada cambio de divisa"), _FX),
    **dict.fromkeys(("credito de divisa", "levantamento de divisa"), _FX),
    **dict.fromkeys(
        ("ideal deposit", "sofort deposit", "flatex deposit", "deposit", "ingreso", "deposito", "storting"), bank()
    ),
    **dict.fromkeys(("flatex terugstorting", "terugstorting", "flatex withdrawal", "retirada"), bank()),
    **dict.fromkeys(("flatex interest", "interest", "rente", "interet", "juros"), INTEREST),
    # What comes back as "processed" is the other side, on the way to the bank, of a withdrawal told in its own row.
    "processed flatex withdrawal": _SWEEP,
    "degiro cash sweep transfer": _SWEEP,
    "reservation": Rule(K.OTHER, subtype="reservation"),
    **dict.fromkeys(("overboeking van uw geldrekening", "overboeking naar uw geldrekening"), _TOLD),
    **dict.fromkeys(("transfer from your cash account", "transfer to your cash account"), _TOLD),
    "degiro courtesy": Rule(K.OTHER, subtype="courtesy"),
    **dict.fromkeys(("variation fonds monetaires", "conversion fonds monetaires"), _FUND),
    **dict.fromkeys(("money market fund", "geldmarktfonds"), _FUND),
}
BUYING = ("koop", "compra", "achat", "buy", "kauf", "acquisto", "kob", "kop")
SELLING = ("verkoop", "venta", "venda", "vente", "sell", "verkauf", "vendita", "salg", "salj")
PENCE = {"GBX": "GBP"}
LONGEST = 300  # characters of a description that tells a trade
# "Koop 1 @ 33,9 USD", "Sell 4 AVIVA@496 GBX (GB00BPQY8M80)", "STOCK DIVIDEND: Koop 999 @ 0 EUR"
_TRADE = re.compile(
    rf"(?:(?P<event>[^:@]+?)\s*:\s*)?(?P<side>{'|'.join(BUYING + SELLING)})\s+"
    r"(?P<units>(?:\d{1,3}(?: \d{3})+|\d+)(?:[.,]\d+)*)(?= |@)[^@]*@\s*(?P<price>[\d., ]*\d)\s+(?P<code>[a-z]{3})\b.*"
)


class Degiro(TabularFormat):
    key = "degiro"
    label = "DEGIRO, account statement"
    institution = "DEGIRO"
    signature = frozenset()
    columns = Columns(date="date")
    rules: ClassVar[Mapping[str, Rule]] = by_word(DESCRIPTIONS)
    date_order = DAY_FIRST
    decimal = ""

    def header_row(self, source: Source, delimiter: str) -> int | None:
        for index, cells in enumerate(source.head(delimiter)):
            names = [fold(cell) for cell in cells]
            if len(names) == len(ORDER) and names[0] in FIRST and "isin" in names[4] and names[8] == names[10] == "":
                return index
        return None

    def places(self, header: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """By their order, which adds `time` and `order` to the fields of Columns."""
        at = {place: (name.casefold(),) for place, name in zip(ORDER, header, strict=True)}
        return dict.fromkeys(Columns.__dataclass_fields__, ()) | at | {"currency": at["currency"] + at["held"]}

    def skip(self, row: Row, reading: Reading) -> str:
        """The rest of an order id on a row by itself goes to the row above."""
        rest = row.text("order")
        if not rest or row.first != rest.casefold() or not reading.rows:
            return ""
        above = reading.rows[-1]
        whole = tuple(
            replace(one, group_id=one.group_id + rest) if isinstance(one, TransactionRecord) else one
            for one in above.records
        )
        reading.rows[-1] = replace(above, records=whole)
        return f"continues line {above.line}"

    def rule(self, row: Row, word: str) -> Rule | None:
        folded = fold(word)
        known = next((rule for start, rule in self.rules.items() if folded.startswith(start)), None)
        traded = _traded(word)
        if traded is None or known is _FUND:
            return known
        if traded["event"]:  # a change of product, a dividend in shares
            return Rule(K.CORPORATE_ACTION, Sign.PRINTED, traded["event"])
        return BUY if traded["side"] in BUYING else SELL

    def quantity(self, row: Row, rule: Rule, word: str) -> Decimal | None:
        traded = _traded(word)
        if traded is None or rule.sign is Sign.NONE:
            return None
        units, _ = _explained(traded, row)
        return units if traded["side"] in BUYING else -units

    def price(self, row: Row) -> Decimal | None:
        """None where it is in another currency than the row's money."""
        traded = _traded(row.text("word"))
        if traded is None or _currency(traded) != self.row_currency(row):
            return None
        return _explained(traded, row)[1]

    def instrument(self, row: Row, rule: Rule, currency: str) -> InstrumentRecord | None:
        """None in rows about money only: their currency need not be the one the security is traded in."""
        if rule.kind in (K.FX, K.FEE, K.DEPOSIT) or rule in (_SWEEP, _TOLD, _FUND):
            return None
        return instruments.security("", name=row.text("name"), isin=row.text("isin"), currency=currency)

    def description(self, row: Row) -> str:
        return row.text("word")

    def group(self, row: Row, rule: Rule, on: date, reading: Reading) -> str:
        if rule.kind is K.FX and not row.text("order"):
            return f"fx {row.text('date')} {row.text('time')}"
        return row.text("order")


def _traded(description: str) -> re.Match[str] | None:
    """The parts of a trade's description; None for any other, and for one too long to be DEGIRO's."""
    return _TRADE.fullmatch(fold(description)) if len(description) <= LONGEST else None


def _currency(traded: re.Match[str]) -> str:
    code = traded["code"].upper()
    return PENCE.get(code, code)


def _explained(traded: re.Match[str], row: Row) -> tuple[Decimal, Decimal]:
    """Units and price, each read with the mark before its decimals that makes them explain the amount.

    The description prints decimals as the language of the day did, whatever the columns beside it do. Where the amount
    cannot tell (none, or in another currency) a number reads as it most likely is. Raises ValueError.
    """
    scale = Decimal("0.01") if traded["code"].upper() in PENCE else Decimal(1)
    units, prices = _readings(traded["units"]), [price * scale for price in _readings(traded["price"])]
    amount = row.number("amount")
    if not amount or _currency(traded) != row.text("currency").upper():
        return units[0], prices[0]
    return min(((u, p) for u in units for p in prices), key=lambda pair: abs(pair[0] * pair[1] - abs(amount)))


def _readings(text: str) -> list[Decimal]:
    """The likelier reading first: in these languages the comma stands before the decimals."""
    marks = dict.fromkeys((style_of(text) or COMMA, COMMA, POINT))
    found = []
    for mark in marks:
        try:
            number = parse_number(text, mark)
        except ValueError:
            continue
        if number is not None and number not in found:
            found.append(number)
    if not found:
        raise ValueError(f"“{text[:40]}” is not a number")
    return found
