"""Robinhood's account activity as CSV (Reports and statements), as it has been since 2019.

Descriptions go over several lines: a name, its CUSIP, a note. An option is named only there. A quantity with an S at
its end is taken from the position. Prices are rounded to cents, amounts are exact. A row has no id, and equal ones are
common: one order filled in parts.
"""

import re
from datetime import date
from decimal import Decimal
from typing import ClassVar

from connections.brokers.records import Broker, InstrumentRecord, TransactionKind
from sync.importers import instruments
from sync.importers.rules import (
    BUY,
    DIVIDEND,
    EXPIRED,
    FEE,
    INTEREST,
    REINVEST,
    SELL,
    SPLIT,
    TAX,
    Rule,
    Sign,
    bank,
    by_word,
    corporate,
    transfer,
)
from sync.importers.tabular import Columns, Row, TabularFormat

K = TransactionKind
_OPTION = re.compile(r"([A-Z0-9.]{1,6}) (\d{1,2})/(\d{1,2})/(\d{4}) (Call|Put) \$([\d,]+(?:\.\d{1,3})?)", re.ASCII)
_CUSIP = re.compile(r"CUSIP: ([0-9A-Z]{9})\b", re.ASCII)
_OPTION_CODES = frozenset({"bto", "btc", "sto", "stc", "oexp", "oasgn", "oexcs", "oca"})


class Robinhood(TabularFormat):
    key = "robinhood"
    label = "Robinhood, account activity"
    broker = Broker.ROBINHOOD
    institution = "Robinhood"
    signature = frozenset({"activity date", "process date", "settle date", "instrument", "trans code", "amount"})
    columns = Columns(
        date="activity date",
        settled="settle date",
        word="trans code",
        symbol="instrument",
        name="description",
        quantity="quantity",
        price="price",
        amount="amount",
    )
    currency = "USD"
    footers = ("the data provided is for informational purposes",)
    rules: ClassVar = by_word(
        {
            "Buy": BUY,
            "Sell": SELL,
            "BTO": Rule(K.BUY, Sign.IN, "open"),
            "BTC": Rule(K.BUY, Sign.IN, "close"),
            "STO": Rule(K.SELL, Sign.OUT, "open"),
            "STC": Rule(K.SELL, Sign.OUT, "close"),
            "OEXP": EXPIRED,  # 3S ends three long contracts, 3 three short ones
            "OASGN": Rule(K.OPTION_ASSIGNMENT, Sign.IN),  # only who is short is assigned
            "OEXCS": Rule(K.OPTION_EXERCISE, Sign.OUT),  # only who is long can exercise
            "OCA": corporate("contract adjustment"),
            "CDIV": DIVIDEND,
            "MDIV": Rule(K.DIVIDEND, subtype="manufactured"),
            "SCAP": Rule(K.DIVIDEND, subtype="capital gain"),
            "ROC": Rule(K.DIVIDEND, subtype="return of capital"),
            "INT": INTEREST,
            "SLIP": Rule(K.INTEREST, subtype="stock lending"),
            "MINT": Rule(K.INTEREST, subtype="margin"),
            "GDBP": Rule(K.INTEREST, subtype="deposit boost"),
            "GOLD": Rule(K.FEE, subtype="Gold"),
            "AFEE": Rule(K.FEE, subtype="ADR"),
            "DFEE": FEE,
            "DTAX": Rule(K.TAX, subtype="withholding"),
            "ACH": bank(),
            "RTP": bank("instant"),
            "ITRF": transfer("between own accounts"),
            "ACATI": transfer("ACAT", Sign.PRINTED),
            "ACATS": transfer("ACAT", Sign.PRINTED),
            "SPL": SPLIT,
            "SPR": Rule(K.SPLIT, Sign.PRINTED, "reverse"),
            "REC": Rule(K.OTHER, Sign.PRINTED, "shares received", cash=False),
            "SDIV": corporate("stock dividend"),
            "SXCH": corporate("exchange", paired=True),
            "CIL": corporate("cash in lieu"),
            "MISC": Rule(K.OTHER),
            "BCXL": Rule(K.OTHER, Sign.OUT, "cancelled buy"),
        }
    )

    def rule(self, row: Row, word: str) -> Rule | None:
        note = row.text("name").casefold()
        if word == "RTP" and "withdrawal fee" in note:
            return Rule(K.FEE, subtype="instant withdrawal")
        if word == "Buy" and "dividend reinvestment" in note:
            return REINVEST
        if word in ("Buy", "Sell") and "assigned" in note:
            return Rule(K(word.casefold()), Sign.IN if word == "Buy" else Sign.OUT, "assignment")
        return super().rule(row, word)

    def description(self, row: Row) -> str:
        return " ".join(row.text("name").split())

    def instrument(self, row: Row, rule: Rule, currency: str) -> InstrumentRecord | None:
        text = row.text("name")
        if row.text("word").casefold() in _OPTION_CODES:
            return _option(text)
        cusip = _CUSIP.search(text)
        name = text.splitlines()[0].strip() if cusip else ""  # elsewhere the text tells of the event
        return instruments.security(row.text("symbol"), name=name, cusip=cusip[1] if cusip else "")


def _option(text: str) -> InstrumentRecord:
    """`SOFI 8/4/2023 Call $12.00`, anywhere in a description. Raises ValueError."""
    found = _OPTION.search(text)
    if found is None:
        raise ValueError(f"“{text[:60]}” names no option")
    root, month, day, year, side, strike = found.groups()
    return instruments.option(root, date(int(year), int(month), int(day)), side, Decimal(strike.replace(",", "")))


class RobinhoodBefore2019(TabularFormat):
    """What its clearing firm exported until then: day first as far as seen, but that the file has to say."""

    key = "robinhood_before_2019"
    label = "Robinhood, activity before 2019"
    broker = Broker.ROBINHOOD
    institution = "Robinhood"
    signature = frozenset({"type", "trade date", "settle date", "symbol", "trade action", "qty", "net amount"})
    columns = Columns(
        date="trade date",
        settled="settle date",
        word="trade action",
        symbol="symbol",
        name="description",
        quantity="qty",
        price="price",
        amount="net amount",
    )
    currency = "USD"
    date_order = ""
    rules: ClassVar = by_word(
        {
            "BUY": BUY,
            "SELL": SELL,
            "CASH DIV": DIVIDEND,
            "SUBST PAY": Rule(K.DIVIDEND, subtype="in lieu"),
            "GOLD FEE": Rule(K.FEE, subtype="Gold"),
            "SEC FEE": Rule(K.FEE, subtype="SEC"),
            "TAF FEE": Rule(K.FEE, subtype="TAF"),
            "FOREIGN TAX": Rule(K.TAX, subtype="withholding"),
            "FRGN TAX": Rule(K.TAX, subtype="withholding"),
            "INTEREST": INTEREST,
            "ACH DEPOSIT": bank(),
            "ACH WITHDRAWAL": bank(),
            "ACH DISBURSEMENT": bank(),
            "SWEEP": Rule(K.OTHER, subtype="sweep"),
            "CASH/MARGIN": Rule(K.OTHER, subtype="cash to margin"),
            "WITHHOLDING": TAX,
        }
    )

    def word(self, row: Row) -> str:
        """The action of a trade; of money that moves, what its description is about."""
        text = " ".join(row.text("name").split())
        told = next((word for word in self.rules if word in text.casefold()), text[:40])
        return row.text("word") or told.upper()

    def description(self, row: Row) -> str:
        return " ".join(row.text("name").split())

    def instrument(self, row: Row, rule: Rule, currency: str) -> InstrumentRecord | None:
        return instruments.security(row.text("symbol"), name=row.text("name").partition(" ---")[0])
