"""E*TRADE's exports: "Transactions" as it was until 2024, and "Account Activity" since Morgan Stanley runs it.

Both name the account above the table. Amounts are net and signed; the older prints sales with negative units and a
reinvested dividend as a dividend that buys.
"""

import re
from decimal import Decimal
from typing import ClassVar

from connections.brokers.records import AssetClass, InstrumentRecord, TransactionKind
from sync.importers import instruments
from sync.importers.dates import parse_date
from sync.importers.reader import Source
from sync.importers.rules import (
    BUY,
    DIVIDEND,
    EXPIRED,
    FEE,
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
# AAPL Jan 21 '22 $150 Call
_OPTION = re.compile(r"([A-Z.]{1,6}) ([A-Z][a-z]{2}) (\d\d) '(\d\d) \$?(\d+(?:\.\d+)?) (Call|Put)", re.ASCII)
_ACCOUNT = re.compile(r"account activity for (.+?) from \d", re.I)

_BOTH = {
    "Bought": BUY,
    "Sold": SELL,
    "Bought To Open": Rule(K.BUY, Sign.IN, "open"),
    "Bought To Close": Rule(K.BUY, Sign.IN, "close"),
    "Bought To Cover": Rule(K.BUY, Sign.IN, "close"),
    "Sold To Open": Rule(K.SELL, Sign.OUT, "open"),
    "Sold To Close": Rule(K.SELL, Sign.OUT, "close"),
    "Sold Short": Rule(K.SELL, Sign.OUT, "short"),
    "Dividend": DIVIDEND,
    "Qualified Dividend": Rule(K.DIVIDEND, subtype="qualified"),
    "Dividend Reinvestment": REINVEST,
    "Capital Gain": Rule(K.DIVIDEND, subtype="capital gain"),
    "Interest": INTEREST,
    "Interest Income": INTEREST,
    "Margin Interest": Rule(K.INTEREST, subtype="margin"),
    "Fee": FEE,
    "Service Fee": FEE,
    "Foreign Tax": Rule(K.TAX, subtype="foreign"),
    "Tax Withheld": Rule(K.TAX, subtype="withholding"),
    "Direct Debit": bank(),
    "Direct Deposit": bank(),
    "Wire": bank("wire"),
    "Online Transfer": bank(),
    "Adjustment": Rule(K.OTHER, Sign.PRINTED, "adjustment"),
    "Option Expired": EXPIRED,
    "Option Expiration": EXPIRED,
    "Option Assigned": Rule(K.OPTION_ASSIGNMENT, Sign.IN),  # only who is short is assigned
    "Option Assignment": Rule(K.OPTION_ASSIGNMENT, Sign.IN),
    "Option Exercised": Rule(K.OPTION_EXERCISE, Sign.OUT),
    "Option Exercise": Rule(K.OPTION_EXERCISE, Sign.OUT),
    "Stock Split": SPLIT,
    "Reorganization": corporate("reorganization"),
    "Exchange Delivered Out": Rule(K.CORPORATE_ACTION, Sign.OUT, "exchange"),
    "Exchange Received In": Rule(K.CORPORATE_ACTION, Sign.IN, "exchange"),
    "Cash In Lieu": corporate("cash in lieu"),
}


class ETradeTransactions(TabularFormat):
    key = "etrade_transactions"
    label = "E*TRADE, transactions (until 2024)"
    institution = "E*TRADE"
    signature = frozenset({"transactiondate", "transactiontype", "securitytype", "symbol", "quantity", "amount"})
    columns = Columns(
        date="transactiondate",
        word="transactiontype",
        symbol="symbol",
        name="description",
        quantity="quantity",
        price="price",
        fees="commission",
        amount="amount",
    )
    currency = "USD"
    rules: ClassVar = by_word({**_BOTH, "Transfer": bank()})

    def file_account(self, source: Source) -> str:
        for row in source.head():
            if len(row) > 1 and row[0].strip().casefold() == "for account:":
                return row[1].strip()
        return ""

    def rule(self, row: Row, word: str) -> Rule | None:
        units, amount = row.quantity(), row.number("amount")
        if word.casefold() == "dividend" and units and units > 0 and amount and amount < 0:
            return REINVEST
        if word.casefold() == "transfer" and units:
            return transfer("in_kind", Sign.PRINTED)
        return super().rule(row, word)

    def description(self, row: Row) -> str:
        return " ".join(row.text("name").split())

    def instrument(self, row: Row, rule: Rule, currency: str) -> InstrumentRecord | None:
        return _instrument(row, row.cell("securitytype").upper() == "OPTN")


class ETradeActivity(TabularFormat):
    key = "etrade_activity"
    label = "E*TRADE, account activity"
    institution = "E*TRADE"
    signature = frozenset({"activity/trade date", "transaction date", "activity type", "quantity #", "amount $"})
    columns = Columns(
        date="activity/trade date",
        settled="settlement date",
        word="activity type",
        symbol="symbol",
        name="description",
        quantity="quantity #",
        price="price $",
        fees="commission",
        amount="amount $",
        cusip="cusip",
    )
    currency = "USD"
    footers = ("brokerage services are offered",)
    rules: ClassVar = by_word({**_BOTH, "Transfer": transfer("", Sign.PRINTED)})

    def file_account(self, source: Source) -> str:
        titles = (_ACCOUNT.search(row[0]) for row in source.head() if row)
        return next((found[1].strip() for found in titles if found), "")

    def instrument(self, row: Row, rule: Rule, currency: str) -> InstrumentRecord | None:
        is_option = rule.subtype in ("open", "close") or rule.kind in (
            K.OPTION_ASSIGNMENT,
            K.OPTION_EXERCISE,
            K.OPTION_EXPIRATION,
        )
        return _instrument(row, is_option)


def _instrument(row: Row, is_option: bool) -> InstrumentRecord | None:
    symbol, name = row.text("symbol"), " ".join(row.text("name").split())
    for text in (symbol, name):
        if contract := _contract(text):
            return instruments.option_named(contract, name=name)
    if is_option:  # the row says that it is one, not which: what stands for a symbol has to do
        return instruments.security(symbol, name=name, asset_class=AssetClass.OPTION, multiplier=instruments.CONTRACT)
    return instruments.security(symbol, name=name, cusip=row.text("cusip"))


def _contract(text: str) -> str | None:
    """Any of the ways E*TRADE writes an option, in OSI form; None for other texts. Raises ValueError."""
    found = _OPTION.search(text)
    if found is None:
        return instruments.osi(text) or instruments.compact_option(text) or instruments.named_option(text)
    root, month, day, year, strike, side = found.groups()
    on = parse_date(f"{month} {day} 20{year}")
    return instruments.option_symbol(root, f"{on:%y%m%d}", side, Decimal(strike))
