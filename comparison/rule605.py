"""Rule 605 reports: how well orders were executed, in the two forms that publishers' files have.

The summary by Rule 605(a)(2), a CSV of one reporter and month (SEC's metadata: github.com/sec-gov/oes), which larger
brokers publish for months from August 2026 on; and the detail by symbol by Rule 605(a)(1) as market centres published
it until July 2026, 26 fields between pipes, which is added up over symbols here. Shares of something are fractions
(0.95 is 95 %). An empty field is None. Nothing here touches the database.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from django.db.models import TextChoices

from comparison.report_files import FileRefused, ReportFile

MOST_BYTES = 64 * 1024 * 1024  # a market centre's detail of one month: ten thousand symbols
PARTICIPANTS = {
    "A": "NYSE American", "B": "Nasdaq BX", "C": "NYSE National", "H": "MIAX Pearl", "J": "Cboe EDGA", "K": "Cboe EDGX",
    "L": "LTSE", "M": "NYSE Texas", "N": "NYSE", "P": "NYSE Arca", "Q": "Nasdaq", "T": "FINRA", "U": "MEMX", "V": "IEX",
    "X": "Nasdaq PSX", "Y": "Cboe BYX", "Z": "Cboe BZX",
}  # fmt: skip


class Form(TextChoices):
    SUMMARY = "605a2", "Rule 605 summary"
    DETAIL = "605a1", "Rule 605 detail, old form"


class StatOrder(TextChoices):
    """Kinds of orders as Rule 605 tells them apart."""

    MARKET = "market", "Market orders"
    MARKETABLE_LIMIT = "marketable_limit", "Limit orders, marketable"
    INSIDE_QUOTE = "inside_quote", "Limit orders inside the quote"
    AT_QUOTE = "at_quote", "Limit orders at the quote"
    NEAR_QUOTE = "near_quote", "Limit orders near the quote"


class OrderSize(TextChoices):
    """By what an order is worth (summary), or by its number of shares (detail)."""

    BELOW_200000 = "199999", "All below 200,000 USD"
    USD_0 = "0", "Below 250 USD"
    USD_250 = "250", "250 to 1,000 USD"
    USD_1000 = "1000", "1,000 to 5,000 USD"
    USD_5000 = "5000", "5,000 to 10,000 USD"
    USD_10000 = "10000", "10,000 to 20,000 USD"
    USD_20000 = "20000", "20,000 to 50,000 USD"
    USD_50000 = "50000", "50,000 to 200,000 USD"
    USD_200000 = "200000", "200,000 USD and more"
    SHARES_100 = "21", "100 to 499 shares"
    SHARES_500 = "22", "500 to 1,999 shares"
    SHARES_2000 = "23", "2,000 to 4,999 shares"
    SHARES_5000 = "24", "5,000 shares and more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """How one kind and size of orders was executed. `is_sp500` None: all stocks of the file together."""

    is_sp500: bool | None
    order: StatOrder
    size: OrderSize
    figures: Mapping[str, Decimal | int | None] = field(repr=False)  # by the names in FIGURES


# What a Stat may tell. Percentages are fractions of the midpoint, `_usd` is per share, speed is in milliseconds.
FIGURES = (
    "symbols",
    "orders",
    "covered_shares",
    "executed_shares",
    "average_shares",
    "average_usd",
    "average_midpoint",
    "at_or_better",
    "improved",
    "net_improvement",
    "net_improvement_usd",
    "effective_spread",
    "effective_spread_usd",
    "quoted_spread",
    "effective_over_quoted",
    "realized_15s",
    "realized_1m",
    "realized_usd",
    "speed_ms",
)


@dataclass(frozen=True, slots=True)
class QualityFile:
    form: Form
    participant: str  # the exchange or association that gave the reporter its code
    reporter: str
    month_on: date  # its first day
    stats: tuple[Stat, ...]
    warnings: tuple[str, ...]


def text_of(file: ReportFile) -> str:
    """The file as text. Both forms are ASCII; a byte order mark is let pass."""
    try:
        text = file.content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileRefused(f"{file.name} is not a text file.") from error
    if "\0" in text:
        raise FileRefused(f"{file.name} is not a text file.")
    return text


def participant_warning(code: str) -> list[str]:
    if code in PARTICIPANTS:
        return []
    return [f"The designated participant {code} is none the hub knows. The plan adds members from time to time."]
