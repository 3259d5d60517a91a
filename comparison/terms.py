"""The words of the cost engine: what was done, what a plan charges for it, and what came out. Pure: no database.

Money is Decimal in USD. A low and a high amount bound what is known; None is unknown and never counts as zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from django.db.models.enums import TextChoices

ZERO = Decimal(0)
CENT = Decimal("0.01")


class Asset(StrEnum):
    US_STOCK = "us_stock"
    US_ETF = "us_etf"
    OTC_STOCK = "otc_stock"
    EQUITY_OPTION = "equity_option"
    ETF_OPTION = "etf_option"
    INDEX_OPTION = "index_option"
    FUTURE = "future"
    MUTUAL_FUND = "mutual_fund"
    BOND = "bond"
    CRYPTO = "crypto"
    FX = "fx"


OPTIONS = frozenset({Asset.EQUITY_OPTION, Asset.ETF_OPTION, Asset.INDEX_OPTION})
SHARES = frozenset({Asset.US_STOCK, Asset.US_ETF, Asset.OTC_STOCK})


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class Rounding(StrEnum):
    NONE = "none"
    UP = "up_to_cent"
    NEAREST = "nearest_cent"
    UNKNOWN = "unknown"  # not published: the exact amount is kept


class Confidence(TextChoices):
    """How far a fact can be trusted, best first; the words are the badges of the page."""

    CHECKED = "checked", "Checked"  # read on the primary page
    REPORTED = "reported", "Reported"  # read in a dated transcription of it
    NOT_VERIFIED = "not_verified", "Not verified"  # general knowledge
    UNKNOWN = "unknown", "Unknown"  # no value, only a reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One order, or one happening in an account (`item` names it: a wire, a transfer out), on `on`.

    `quantity`: shares, contracts, coins, or the face value of a bond, always positive. `amount`: what the trade or the
    conversion moved in USD, always positive (option: premium x 100 x contracts). `opening` None: not known. `order` is
    the broker's own order id, "" when the source gave none.
    """

    on: date
    asset: Asset | None = None
    side: Side | None = None
    opening: bool | None = None
    quantity: Decimal = Decimal(1)
    price: Decimal = ZERO
    amount: Decimal = ZERO
    symbol: str = ""
    item: str = ""
    mode: str = ""  # fx: manual or automatic; "" = not known
    liquidity: str = ""  # add or remove; "" = not known
    account: str = ""
    order: str = ""
    paid: Decimal | None = None  # what the broker really charged; None: not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """What the user did earlier in the same calendar month (trades: quarter) over all accounts at the broker."""

    shares: Decimal = ZERO
    contracts: Decimal = ZERO
    converted: Decimal = ZERO  # USD
    trades_in_quarter: int = 0
    happened: int = 0  # earlier events of the same item, such as withdrawals


NOTHING_YET = Volume()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRef:
    key: str
    title: str
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of a price list. `model` None: unknown or not offered, and `reason` says which."""

    id: str
    item: str
    model: str | None
    values: Mapping[str, Any] = field(default_factory=dict)  # Decimals, tiers
    mode: str = ""
    condition: str = ""  # applies only then; never assumed
    source: SourceRef | None = None
    as_of: str = ""
    confidence: Confidence = Confidence.UNKNOWN
    reason: str = ""
    is_offered: bool = True
    notes: str = ""
    valid_from: date | None = None
    valid_to: date | None = None

    def holds_on(self, day: date) -> bool:
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True, slots=True, kw_only=True)
class PassThrough:
    """A regulatory fee a plan hands on, and how it rounds it. `rate`: the house's own blended rate per contract."""

    fee: str
    rounding: Rounding
    minimum: Decimal | None = None
    zero_if_below: Decimal | None = None
    waived: Mapping[str, Decimal] = field(default_factory=dict)  # shares_max, stock_sale_max
    is_daily: bool = False  # added up per account, day and fee, then rounded
    rate: Decimal | None = None
    rule: Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedRate:
    """A regulatory rate and the days it holds, both ends included."""

    fee: str
    label: str
    model: str
    rate: Decimal | None
    low: Decimal | None = None
    high: Decimal | None = None
    maximum: Decimal | None = None  # per trade
    side: str = "both"
    assets: frozenset[str] = frozenset()
    first: date | None = None
    last: date | None = None
    rule: Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkValue:
    on: date
    value: Decimal  # percent
    rule: Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What is the same at every broker: regulatory rates by fee, benchmarks by name, both in the order of dates."""

    regulatory: Mapping[str, tuple[DatedRate, ...]]
    benchmarks: Mapping[str, tuple[BenchmarkValue, ...]]

    def on(self, fee: str, day: date) -> DatedRate | None:
        """The row that holds on `day`; None is unknown, not zero."""
        for row in self.regulatory.get(fee, ()):
            if (row.first is None or row.first <= day) and (row.last is None or day <= row.last):
                return row
        return None

    def benchmark(self, name: str, day: date) -> BenchmarkValue | None:
        """The newest value read on or before `day`; the oldest one for days before it."""
        series = self.benchmarks.get(name, ())
        return next((value for value in reversed(series) if value.on <= day), series[0] if series else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTerms:
    """One plan's price list: the broker's common rules overridden by its own, with history."""

    ref: str  # broker:plan
    broker: str
    broker_name: str
    name: str
    rules: Mapping[str, tuple[Rule, ...]]
    passes: tuple[PassThrough, ...]
    features: Mapping[str, Any] = field(default_factory=dict)  # key -> value; None is unknown
    eligibility: str = ""
    is_integrated: bool = False

    @property
    def title(self) -> str:
        """What people call it: the plan's own name where it says whose it is."""
        if self.name in {"Standard", "Schwab One / brokerage", "Retail trading API"}:
            return self.broker_name
        brand = self.broker_name.split()[0]
        return self.name if brand in self.name or "IBKR" in self.name else f"{self.broker_name} {self.name}"


class CostLine(NamedTuple):
    """One line of a calculation. low = high is exact; None is unknown; lines not `counted` stand beside the total."""

    item: str
    low: Decimal | None
    high: Decimal | None
    rule: Rule
    steps: tuple[Any, ...] = ()  # a format and its values, written out only when somebody reads it
    counted: bool = True
    why: str = ""
    daily: str = ""  # the fee added up per account and day before it is rounded

    @property
    def formula(self) -> str:
        """How the amount came about: 250 x 0.0035 = 0.875."""
        if not self.steps:
            return self.why
        text = str(self.steps[0]).format(*(plain(value) for value in self.steps[1:]))
        return f"{text} ({self.why})" if self.why else text

    @property
    def is_known(self) -> bool:
        return self.low is not None

    @property
    def is_range(self) -> bool:
        return self.low != self.high


def plain(value: object) -> str:
    """1E+3 as 1000, 0.8750 as 0.875: numbers as people write them; at most ten decimals."""
    if not isinstance(value, Decimal):
        return str(value)
    text = f"{value:.10f}" if -value.as_tuple().exponent > 10 else f"{value:f}"  # type: ignore[operator]
    return text.rstrip("0").rstrip(".") if "." in text else text
