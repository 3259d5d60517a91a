"""Files that people write, or programs that keep portfolios: tables of columns and words, nothing else."""

from typing import ClassVar

from connections.brokers.records import AssetClass, InstrumentRecord, TransactionKind
from sync.importers import instruments
from sync.importers.base import Match
from sync.importers.dates import DAY_FIRST, YEAR_FIRST
from sync.importers.mapped import MappedFormat
from sync.importers.mapping import ColumnMapping
from sync.importers.numbers import COMMA, POINT
from sync.importers.reader import Source
from sync.importers.rules import Rule
from sync.importers.tabular import Row

K = TransactionKind

FRENCH = ColumnMapping(
    columns={
        "date": ("date d'opération",),
        "settled": ("date de valeur",),
        "word": ("opération",),
        "isin": ("isin",),
        "name": ("libellé",),
        "quantity": ("quantité",),
        "price": ("cours",),
        "amount": ("montant",),
        "fees": ("frais",),
        "currency": ("devise",),
    },
    words={
        "achat": "buy",
        "vente": "sell",
        "dividende": "dividend",
        "coupon": "interest",
        "intérêt": "interest",
        "intérêts": "interest",
        "versement": "deposit",
        "virement": "payment",
        "prélèvement": "withdrawal",
        "retrait": "withdrawal",
        "frais": "fee",
        "droits de garde": "fee",
        "taxe": "tax",
        "impôt": "tax",
    },
    date_order=DAY_FIRST,
    decimal=COMMA,
    delimiter=";",
    signed=False,
    fees_on_top=True,
    footers=("total mouvements", "***"),
)

GHOSTFOLIO = ColumnMapping(
    columns={
        "date": ("date",),
        "word": ("action", "type"),
        "symbol": ("code", "symbol"),
        "description": ("note", "comment"),
        "quantity": ("quantity",),
        "price": ("price", "unitprice"),
        "fees": ("fee",),
        "currency": ("currency",),
    },
    words={
        "buy": "buy",
        "sell": "sell",
        "dividend": "dividend",
        "interest": "interest",
        "fee": "fee",
        "item": "given",
        "liability": "skip",  # a debt outside any account
    },
    date_order=DAY_FIRST,  # or the year first, with or without dashes
    decimal=POINT,
    signed=False,
    fees_on_top=True,
)

WEALTHFOLIO = ColumnMapping(
    columns={
        "date": ("date",),
        "word": ("type", "activitytype"),
        "symbol": ("symbol",),
        "description": ("comment",),
        "quantity": ("quantity",),
        "price": ("unit_price", "unitprice"),
        "amount": ("amount",),
        "fees": ("fee",),
        "currency": ("currency",),
    },
    words={
        **{word: word for word in ("buy", "sell", "dividend", "interest", "fee", "tax", "deposit", "withdrawal")},
        "transfer_in": "transfer_in",
        "transfer_out": "transfer_out",
        "split": "split_ratio",
        "credit": "other",
    },
    date_order=YEAR_FIRST,
    decimal=POINT,
    signed=False,
    fees_on_top=True,
)


class FrenchBroker(MappedFormat):
    key = "generic_fr"
    label = "A broker's account statement in French"
    institution = "a French broker"

    def __init__(self) -> None:
        super().__init__(FRENCH)


class Wealthfolio(MappedFormat):
    key = "wealthfolio"
    label = "Wealthfolio, activities"
    institution = "Wealthfolio"

    def __init__(self) -> None:
        super().__init__(WEALTHFOLIO)


class Ghostfolio(MappedFormat):
    """Activities may be dated ahead. What has no quote elsewhere (its source is MANUAL) has a name for a symbol."""

    key = "ghostfolio"
    label = "Ghostfolio, activities"
    institution = "Ghostfolio"
    ahead: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__(GHOSTFOLIO)

    def recognised(self, source: Source, header_row: int, delimiter: str) -> Match:
        return Match(score=75, reason="The file has all columns of Ghostfolio's activities.")

    def instrument(self, row: Row, rule: Rule, currency: str) -> InstrumentRecord | None:
        if rule.kind is K.FEE:
            return None
        if row.cell("datasource").upper() == "MANUAL":
            name = row.text("symbol")
            return instruments.security(name, name=name, currency=currency, asset_class=AssetClass.OTHER)
        return super().instrument(row, rule, currency)

    def description(self, row: Row) -> str:
        return super().description(row) or row.text("symbol")
