"""Charles Schwab's brokerage transactions as CSV (Accounts, History, Export).

Seen in exports of 2019 to 2026: a title row or none, columns in any order, a comma at the end of lines or none, newest
row first. Quantities of sales are printed positive; journals, splits, mergers and expiries carry the sign of the change
in the position. A row has no id of its own and may truly occur twice.
"""

import re
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import ClassVar

from connections.brokers.records import Broker, InstrumentRecord, TransactionKind
from sync.importers import instruments
from sync.importers.base import Match
from sync.importers.dates import parse_as_of
from sync.importers.numbers import parse_number
from sync.importers.reader import Source
from sync.importers.rules import Rule, Sign, bank, by_word, corporate
from sync.importers.tabular import Columns, Reading, Row, TabularFormat

K = TransactionKind
TITLE = re.compile(r"transactions\s+for account", re.I)
FOOTER = "transactions total"
MOST_ROWS = 10_000  # that Schwab puts into one file, as its users report; the oldest are left out

# Schwab's exact words. A word that is not here is booked as "other" with a warning, never dropped.
ACTIONS: dict[str, Rule] = {
    "Buy": Rule(K.BUY, Sign.IN),
    "Reinvest Shares": Rule(K.BUY, Sign.IN, "reinvest"),
    "Sell": Rule(K.SELL, Sign.OUT),
    "Sell Short": Rule(K.SELL, Sign.OUT, "short"),
    "Cancel Buy": Rule(K.BUY, Sign.OUT, "cancelled"),
    "Buy to Open": Rule(K.BUY, Sign.IN, "open"),
    "Buy to Close": Rule(K.BUY, Sign.IN, "close"),
    "Sell to Open": Rule(K.SELL, Sign.OUT, "open"),
    "Sell to Close": Rule(K.SELL, Sign.OUT, "close"),
    "Expired": Rule(K.OPTION_EXPIRATION, Sign.PRINTED),  # -1 closes a long contract, 1 a short one
    "Assigned": Rule(K.OPTION_ASSIGNMENT, Sign.IN),  # only who is short is assigned
    "Exchange or Exercise": Rule(K.OPTION_EXERCISE, Sign.OUT),  # only who is long can exercise
    "Cash Dividend": Rule(K.DIVIDEND),
    "Qualified Dividend": Rule(K.DIVIDEND, subtype="qualified"),
    "Special Dividend": Rule(K.DIVIDEND, subtype="special"),
    "Non-Qualified Div": Rule(K.DIVIDEND, subtype="non-qualified"),
    "Special Qual Div": Rule(K.DIVIDEND, subtype="special qualified"),
    "Special Non Qual Div": Rule(K.DIVIDEND, subtype="special non-qualified"),
    "Pr Yr Cash Div": Rule(K.DIVIDEND, subtype="prior year"),
    "Pr Yr Special Div": Rule(K.DIVIDEND, subtype="prior year special"),
    "Pr Yr Div Reinvest": Rule(K.DIVIDEND, subtype="prior year"),
    "Reinvest Dividend": Rule(K.DIVIDEND),
    "Qual Div Reinvest": Rule(K.DIVIDEND, subtype="qualified"),
    "Long Term Cap Gain": Rule(K.DIVIDEND, subtype="long-term capital gain"),
    "Long Term Cap Gain Reinvest": Rule(K.DIVIDEND, subtype="long-term capital gain"),
    "Short Term Cap Gain": Rule(K.DIVIDEND, subtype="short-term capital gain"),
    "Short Term Cap Gain Reinvest": Rule(K.DIVIDEND, subtype="short-term capital gain"),
    "Div Adjustment": Rule(K.DIVIDEND, subtype="adjustment"),
    "Bank Interest": Rule(K.INTEREST),
    "Credit Interest": Rule(K.INTEREST),
    "Bond Interest": Rule(K.INTEREST, subtype="bond"),
    "Margin Interest": Rule(K.INTEREST, subtype="margin"),
    "Service Fee": Rule(K.FEE),
    "ADR Mgmt Fee": Rule(K.FEE, subtype="ADR"),
    "Advisor Fee": Rule(K.FEE, subtype="advisor"),
    "Foreign Tax Paid": Rule(K.TAX, subtype="foreign"),
    "NRA Tax Adj": Rule(K.TAX, subtype="withholding"),
    "NRA Withholding": Rule(K.TAX, subtype="withholding"),
    "IRS Withhold Adj": Rule(K.TAX, subtype="withholding"),
    "MoneyLink Transfer": bank(),
    "MoneyLink Deposit": bank(),
    "MoneyLink Adj": bank("adjustment"),
    "Wire Funds": bank("wire"),
    "Wire Funds Received": bank("wire"),
    "Wire Sent": bank("wire"),
    "Wire Received": bank("wire"),
    "Funds Received": bank(),
    "Funds Paid": bank(),
    "ATM Withdrawal": bank("ATM"),
    "Visa Purchase": bank("card"),
    "Journal": Rule(K.TRANSFER_IN, outgoing=K.TRANSFER_OUT),
    "Internal Transfer": Rule(K.TRANSFER_IN, outgoing=K.TRANSFER_OUT),
    "Journaled Shares": Rule(K.TRANSFER_IN, Sign.PRINTED, "in_kind", outgoing=K.TRANSFER_OUT),
    "Security Transfer": Rule(K.TRANSFER_IN, Sign.PRINTED, "in_kind", outgoing=K.TRANSFER_OUT),
    "Stock Plan Activity": Rule(K.TRANSFER_IN, Sign.PRINTED, "stock plan", outgoing=K.TRANSFER_OUT),
    "Stock Split": Rule(K.SPLIT, Sign.PRINTED),
    "Reverse Split": Rule(K.SPLIT, Sign.PRINTED, "reverse", paired=True),
    "Stock Div Dist": corporate("stock dividend"),
    "Spin-off": corporate("spin-off"),
    "Stock Merger": corporate("merger", paired=True),
    "Cash Merger": corporate("merger", paired=True),
    "Cash Merger Adj": corporate("merger", paired=True),
    "Full Redemption": corporate("redemption", paired=True),
    "Full Redemption Adj": corporate("redemption", paired=True),
    "Name Change": corporate("name change", paired=True),
    "Conversion": corporate("conversion", paired=True),
    "Cash In Lieu": corporate("cash in lieu"),
    "Promotional Award": Rule(K.OTHER, subtype="award"),
    "Misc Cash Entry": Rule(K.OTHER),
    "Schwab ATM Rebate": Rule(K.OTHER, subtype="ATM rebate"),
    "Misc Credits": Rule(K.OTHER),
}

_OPTION = re.compile(
    r"([A-Z0-9./]{1,6}) (\d\d)/(\d\d)/\d\d(\d\d) (?=\.?\d)(\d{0,5}|\d{1,2},\d{3})(?:\.(\d{1,3}))? ([CP])", re.ASCII
)


class SchwabBrokerage(TabularFormat):
    key = "schwab_brokerage"
    label = "Charles Schwab, brokerage transactions"
    broker = Broker.SCHWAB
    institution = "Schwab"
    signature = frozenset({"date", "action", "symbol", "description", "quantity", "price", "fees & comm", "amount"})
    columns = Columns(
        date="date",
        word="action",
        symbol="symbol",
        name="description",
        quantity="quantity",
        price="price",
        fees="fees & comm",
        amount="amount",
    )
    rules: ClassVar = by_word(ACTIONS)
    currency = "USD"  # Schwab names no currency anywhere: its accounts are in dollars

    def recognised(self, source: Source, header_row: int, delimiter: str) -> Match:
        titled = any(row and TITLE.match(row[0].strip()) for row in source.head(delimiter)[:header_row])
        reason = "has the title and all columns" if titled else "has all columns"
        return Match(score=100 if titled else 90, reason=f"The file {reason} of Schwab's export.")

    def skip(self, row: Row, reading: Reading) -> str:
        if FOOTER not in (row.text("date").casefold(), row.text("word").casefold()):
            return ""
        reading.printed = parse_number(row.text("amount"))
        return "the total of the file"

    def dates(self, row: Row) -> tuple[date, date | None]:
        posted_on, effective_on = parse_as_of(row.text("date"))
        return effective_on, posted_on if posted_on != effective_on else None

    def instrument(self, row: Row, rule: Rule, currency: str) -> InstrumentRecord | None:
        symbol, name = row.text("symbol"), row.text("name")
        option = _option(symbol.upper())
        return instruments.option_named(option, name=name) if option else instruments.security(symbol, name=name)

    def finish(self, reading: Reading) -> None:
        if reading.kept >= MOST_ROWS:
            reading.warnings.append(
                f"The file has {reading.kept:,} rows and Schwab puts at most {MOST_ROWS:,} into one, so older "
                "ones may be missing. Export the earlier dates as well."
            )
        if reading.printed is not None and reading.printed != reading.total:
            reading.warnings.append(
                f"The file says its amounts add up to {reading.printed} USD; the rows add up to {reading.total} USD."
            )


@lru_cache(maxsize=8192)
def _option(symbol: str) -> str | None:
    """`NVDA 02/23/2024 1080.00 C` and `SPY   250321C00500000` in OSI form."""
    printed = _OPTION.fullmatch(symbol)
    if not printed:
        return instruments.osi(symbol)
    root, month, day, year, whole, fraction, side = printed.groups()
    strike = Decimal(f"{whole.replace(',', '') or 0}.{fraction or 0}")
    return instruments.option_symbol(root, f"{year}{month}{day}", side, strike)
