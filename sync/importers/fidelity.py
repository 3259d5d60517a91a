"""Fidelity's account history as CSV (Activity & Orders, History, Download), of one account or of all.

Seen in exports of 2017 to 2025, in several sets of columns. What happened is prose that begins with a fixed phrase;
it may end with the day it is "as of". An option's symbol begins with a minus sign. A bond is named by its CUSIP, its
units are its face value and its price is per 100 of it.
"""

import re
from datetime import date
from typing import ClassVar

from connections.brokers.records import AssetClass, InstrumentRecord, TransactionKind
from sync.importers import instruments
from sync.importers.dates import parse_date
from sync.importers.rules import (
    BUY,
    DIVIDEND,
    EXPIRED,
    INTEREST,
    REINVEST,
    SELL,
    SPLIT,
    Rule,
    Sign,
    bank,
    by_word,
    corporate,
    transfer,
)
from sync.importers.tabular import Columns, Row, TabularFormat

K = TransactionKind
_AS_OF = re.compile(r"\bas of (\d{1,2}/\d{1,2}/\d{2,4})", re.I | re.ASCII)
_BOND = re.compile(r"\d%")


class Fidelity(TabularFormat):
    key = "fidelity"
    label = "Fidelity, account history"
    institution = "Fidelity"
    signature = frozenset({"run date", "action", "symbol", "settlement date"})
    columns = Columns(
        date="run date",
        settled="settlement date",
        word="action",
        symbol="symbol",
        name=("security description", "description"),
        quantity="quantity",
        price=("price", "price ($)"),
        amount=("amount", "amount ($)"),
        fees=("commission", "commission ($)", "fees", "fees ($)"),
        currency="currency",
        account=("account number", "account"),
    )
    currency = "USD"  # of the exports that leave the column out
    footers = ("the data and information in this spreadsheet", "date downloaded", "brokerage services are provided")
    by_prefix = True
    rules: ClassVar = by_word(
        {
            "You bought": BUY,
            "You sold": SELL,
            "You sold short": Rule(K.SELL, Sign.OUT, "short"),
            "Reinvestment": REINVEST,
            "Purchase into core account": Rule(K.BUY, Sign.IN, "sweep"),
            "Redemption from core account": Rule(K.SELL, Sign.OUT, "sweep"),
            "Dividend received": DIVIDEND,
            "Long-term cap gain": Rule(K.DIVIDEND, subtype="long-term capital gain"),
            "Short-term cap gain": Rule(K.DIVIDEND, subtype="short-term capital gain"),
            "Return of capital": Rule(K.DIVIDEND, subtype="return of capital"),
            "Interest earned": INTEREST,
            "Interest": INTEREST,
            "Muni exempt int": Rule(K.INTEREST, subtype="tax-exempt"),
            "Margin interest": Rule(K.INTEREST, subtype="margin"),
            "Foreign tax paid": Rule(K.TAX, subtype="foreign"),
            "Fed tax withheld": Rule(K.TAX, subtype="withholding"),
            "Non-resident tax": Rule(K.TAX, subtype="withholding"),
            "Fee charged": Rule(K.FEE),
            "Advisory fee": Rule(K.FEE, subtype="advisor"),
            "ADR fee": Rule(K.FEE, subtype="ADR"),
            "Electronic funds transfer": bank(),
            "Direct deposit": bank(),
            "Direct debit": bank(),
            "Check received": bank("check"),
            "Check paid": bank("check"),
            "Wire transfer": bank("wire"),
            "Bill payment": bank("bill"),
            "Debit card purchase": bank("card"),
            "Cash contribution": bank("contribution"),
            "Transferred from": transfer("", Sign.PRINTED),
            "Transferred to": transfer("", Sign.PRINTED),
            "Transfer of assets": transfer("in_kind", Sign.PRINTED),
            "Journaled": transfer("", Sign.PRINTED),
            "Expired": EXPIRED,
            "Assigned": Rule(K.OPTION_ASSIGNMENT, Sign.PRINTED),
            "Exercised": Rule(K.OPTION_EXERCISE, Sign.PRINTED),
            "Stock split": SPLIT,
            "Reverse split": Rule(K.SPLIT, Sign.PRINTED, "reverse", paired=True),
            "Redemption payout": corporate("redemption"),
            "Merger": corporate("merger"),
            "Distribution": corporate("distribution"),
            "Spin-off": corporate("spin-off"),
            "Name change": corporate("name change", paired=True),
            "In lieu of": corporate("cash in lieu"),
        }
    )

    def dates(self, row: Row) -> tuple[date, date | None]:
        run_on, settled_on = super().dates(row)
        effective = _AS_OF.search(row.text("word"))
        return (parse_date(effective[1]), run_on) if effective else (run_on, settled_on)

    def description(self, row: Row) -> str:
        return " ".join(row.text("word").split())

    def instrument(self, row: Row, rule: Rule, currency: str) -> InstrumentRecord | None:
        symbol, name = row.text("symbol"), row.text("name")
        if option := instruments.compact_option(symbol) if symbol.startswith("-") else None:
            return instruments.option_named(option, name=name, currency=currency)
        if _BOND.search(name) and instruments.is_cusip_shaped(symbol):
            return instruments.security(
                symbol, name=name, currency=currency, asset_class=AssetClass.BOND, multiplier=instruments.PER_HUNDRED
            )
        return instruments.security(symbol, name=name, currency=currency)
