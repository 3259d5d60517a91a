"""Vanguard's exports: the "ofxdownload" of the United States, and the cash report of the United Kingdom.

The American file has two tables, what is held and what happened; the second is read. Treasury bills have neither
symbol nor CUSIP there. The British one tells everything in a sentence beside a running balance.
"""

import re
from decimal import Decimal
from typing import ClassVar

from connections.brokers.records import AssetClass, InstrumentRecord, TransactionKind
from sync.importers import instruments
from sync.importers.base import Match, find_header
from sync.importers.dates import DAY_FIRST
from sync.importers.numbers import parse_number
from sync.importers.reader import Source
from sync.importers.rules import (
    BUY,
    DIVIDEND,
    FEE,
    INTEREST,
    REINVEST,
    SELL,
    Rule,
    Sign,
    bank,
    by_word,
    corporate,
    transfer,
)
from sync.importers.tabular import Columns, Row, TabularFormat

K = TransactionKind
_TREASURY = re.compile(r"U ?S TREASURY (BILL|NOTE|BOND)\b.*?(\d{4}-\d\d-\d\d)", re.I | re.ASCII)
_TRADE = re.compile(r"(?:bought|sold) ([\d,.]+) (.+?)(?: \(([A-Z0-9.]+)\))?$", re.I | re.ASCII)
_PAYER = re.compile(r"\bDIV: ([A-Z0-9]+)\.", re.ASCII)


class VanguardUS(TabularFormat):
    key = "vanguard_us"
    label = "Vanguard (US), account download"
    institution = "Vanguard"
    signature = frozenset({"account number", "trade date", "transaction type", "investment name", "net amount"})
    holdings: ClassVar = frozenset({"account number", "investment name", "symbol", "shares", "total value"})
    columns = Columns(
        date="trade date",
        settled="settlement date",
        word="transaction type",
        symbol="symbol",
        name="investment name",
        quantity="shares",
        price="share price",
        fees=("commission fees", "commissions and fees", "commission"),
        amount="net amount",
        account="account number",
    )
    currency = "USD"
    rules: ClassVar = by_word(
        {
            "Buy": BUY,
            "Sell": SELL,
            "Reinvestment": REINVEST,
            "Reinvestment (LT gain)": REINVEST,
            "Reinvestment (ST gain)": REINVEST,
            "Dividend": DIVIDEND,
            "Capital gain (LT)": Rule(K.DIVIDEND, subtype="long-term capital gain"),
            "Capital gain (ST)": Rule(K.DIVIDEND, subtype="short-term capital gain"),
            "Interest": INTEREST,
            "Fee": FEE,
            "Funds Received": bank(),
            "Withdrawal": bank(),
            "Transfer (incoming)": transfer("in_kind", Sign.PRINTED),
            "Transfer (outgoing)": transfer("in_kind", Sign.PRINTED),
            "Sweep in": Rule(K.OTHER, subtype="sweep"),
            "Sweep out": Rule(K.OTHER, subtype="sweep"),
            "Corp Action (Redemption)": Rule(K.CORPORATE_ACTION, Sign.OUT, "redemption"),  # printed without its sign
            "Stock split": Rule(K.SPLIT, Sign.PRINTED),
            "Corp Action (Exchange)": corporate("exchange"),
            "Corp Action (Merger)": corporate("merger"),
            "Corp Action (Name Change)": corporate("name change"),
        }
    )

    def header_row(self, source: Source, delimiter: str) -> int | None:
        found = super().header_row(source, delimiter)
        if found is not None or find_header(source.head(delimiter), self.holdings) is None:
            return found
        rows = enumerate(row for _, row in source.rows(delimiter))  # below more holdings than a preamble has rows
        return next((index for index, row in rows if find_header([row], self.signature) is not None), None)

    def instrument(self, row: Row, rule: Rule, currency: str) -> InstrumentRecord | None:
        symbol, name = row.text("symbol"), row.text("name")
        if not symbol and (bill := _TREASURY.match(name)):
            return instruments.security(
                f"T-{bill[1]}-{bill[2]}", name=name, asset_class=AssetClass.BOND, multiplier=instruments.PER_HUNDRED
            )
        if not symbol and rule.sign is not Sign.NONE:
            return instruments.by_name(name)
        return instruments.security(symbol, name=name)


class VanguardUK(TabularFormat):
    key = "vanguard_uk"
    label = "Vanguard (UK), cash report"
    institution = "Vanguard UK"
    signature = frozenset({"date", "details", "amount", "balance"})
    columns = Columns(date="date", word="details", name="details", amount="amount")
    currency = "GBP"
    date_order = DAY_FIRST
    by_prefix = True
    rules: ClassVar = by_word(
        {
            "Bought": BUY,
            "Sold": SELL,
            "DIV:": DIVIDEND,
            "Reversal of DIV:": Rule(K.DIVIDEND, subtype="reversal"),
            "Cash Account Interest": INTEREST,
            "Account fee": FEE,
            "Deposit": bank(),
            "Regular Deposit": bank("regular"),
            "Withdrawal": bank(),
            "Payment by": bank(),
            "Transfer": transfer(),
        }
    )

    def recognised(self, source: Source, header_row: int, delimiter: str) -> Match | None:
        cells = {cell.strip().casefold() for cell in source.head(delimiter)[header_row]} - {""}
        if cells != self.signature:  # others have these four among more
            return None
        return Match(score=80, reason="The file has the four columns of Vanguard's cash report.")

    def ends(self, row: Row) -> str:
        return "tells the trades above a second time" if row.first == "investment transactions" else ""

    def quantity(self, row: Row, rule: Rule, word: str) -> Decimal | None:
        if rule.kind not in (K.BUY, K.SELL):
            return None
        found = _TRADE.match(word)
        units = parse_number(found[1]) if found else None
        if not units:
            raise ValueError(f"“{word[:60]}” does not say how many were traded")
        return units if rule.sign is Sign.IN else -units

    def instrument(self, row: Row, rule: Rule, currency: str) -> InstrumentRecord | None:
        words = row.text("word")
        if payer := _PAYER.search(words):
            return instruments.security(payer[1], currency=currency)
        trade = _TRADE.match(words) if rule.kind in (K.BUY, K.SELL) else None
        if trade is None:
            return None
        if trade[3]:
            return instruments.security(trade[3], name=trade[2], currency=currency)
        return instruments.by_name(trade[2], currency=currency, asset_class=AssetClass.FUND)
