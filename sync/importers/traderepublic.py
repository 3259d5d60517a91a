"""Trade Republic's transaction export as CSV (Profile, Activity, Export).

Seen in exports of 2026, with commas or semicolons. Net is amount plus fee plus tax, each with its sign. The symbol is
the ISIN, or a coin's short name. A dividend that is corrected comes as a negative row and a new one. Every row has an
id.
"""

from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from connections.brokers.records import AssetClass, InstrumentRecord, TransactionKind
from sync.importers import dates, instruments
from sync.importers.rules import BUY, DIVIDEND, INTEREST, SELL, SPLIT, Rule, Sign, bank, by_word, transfer
from sync.importers.tabular import ZERO, Columns, Row, TabularFormat

K = TransactionKind
TYPES: dict[str, Rule] = {
    "BUY": BUY,
    "SELL": SELL,
    "DIVIDEND": DIVIDEND,
    "DISTRIBUTION": DIVIDEND,
    "INTEREST_PAYMENT": INTEREST,
    "TAX_OPTIMIZATION": Rule(K.TAX, subtype="tax optimisation"),
    "CUSTOMER_INPAYMENT": bank(),
    "CUSTOMER_INBOUND": bank(),
    "CUSTOMER_OUTBOUND_REQUEST": bank(),
    "CARD_TRANSACTION": bank("card"),
    "CARD_TRANSACTION_INTERNATIONAL": bank("card"),
    "CARD_ORDERING_FEE": Rule(K.FEE, subtype="card"),
    "SPLIT": SPLIT,
}
CLASSES = {
    "STOCK": AssetClass.EQUITY,
    "FUND": AssetClass.FUND,
    "CRYPTO": AssetClass.CRYPTO,
    "BOND": AssetClass.BOND,
    "DERIVATIVE": AssetClass.OTHER,
}


class TradeRepublic(TabularFormat):
    key = "traderepublic"
    label = "Trade Republic, transactions"
    institution = "Trade Republic"
    signature = frozenset({"datetime", "date", "account_type", "category", "type", "asset_class", "transaction_id"})
    columns = Columns(
        date="date",
        word="type",
        symbol="symbol",
        name="name",
        quantity="shares",
        price="price",
        amount="amount",
        fees="fee",
        taxes="tax",
        currency="currency",
        account="account_type",
        id="transaction_id",
    )
    rules: ClassVar = by_word(TYPES)
    date_order = dates.YEAR_FIRST
    decimal = ""

    def rule(self, row: Row, word: str) -> Rule | None:
        """Any TRANSFER_… is money from or to a bank, unless it moves shares."""
        if not word.startswith("TRANSFER"):
            return super().rule(row, word)
        return transfer("in_kind", Sign.PRINTED) if row.text("quantity") else bank()

    def occurred_at(self, row: Row) -> datetime | None:
        return dates.parse_moment(row.cell("datetime"), dates.YEAR_FIRST) if row.cell("datetime") else None

    def amount(self, row: Row, rule: Rule) -> Decimal | None:
        printed, charges = row.number("amount"), row.total("fees") + row.total("taxes")
        return charges or None if printed is None else printed + charges

    def charges(self, row: Row, currency: str) -> tuple[Decimal, Decimal]:
        return -row.total("fees") or ZERO, -row.total("taxes") or ZERO

    def instrument(self, row: Row, rule: Rule, currency: str) -> InstrumentRecord | None:
        symbol = row.text("symbol")
        return instruments.security(
            symbol,
            name=row.text("name"),
            isin=symbol,
            currency=currency,
            asset_class=CLASSES.get(row.cell("asset_class")),
        )

    def description(self, row: Row) -> str:
        return row.text("name") or row.cell("description")
