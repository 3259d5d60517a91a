"""The hub's own words: what every connector and importer turns a broker's reply into. Nothing else crosses over.

Quantities are signed (+ in, - out), cash is signed (+ money in, - money out), prices are per unit and not negative.
`None` always means that the source did not say; it is never to be read as zero.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db.models import TextChoices

_ACCOUNT_ID = re.compile(r"[\w.:-]{1,128}")


class Broker(TextChoices):
    SCHWAB = "schwab", "Charles Schwab"
    ROBINHOOD = "robinhood", "Robinhood"
    IBKR = "ibkr", "Interactive Brokers"
    ALPACA = "alpaca", "Alpaca"
    OTHER = "other", "Another broker"


class AuthMethod(TextChoices):
    SCHWAB_OAUTH = "schwab_oauth", "Official sign-in"
    ROBINHOOD_OAUTH = "robinhood_oauth", "Official sign-in"
    ROBINHOOD_CRYPTO = "robinhood_crypto", "Crypto API key"
    ROBINHOOD_LOGIN = "robinhood_login", "Unofficial login"
    IBKR_OAUTH = "ibkr_oauth", "Official sign-in"
    IBKR_KEYS = "ibkr_keys", "Your own API keys"
    IBKR_FLEX = "ibkr_flex", "Flex query"
    ALPACA_OAUTH = "alpaca_oauth", "Official sign-in"
    FILE = "file", "By file"


class AssetClass(TextChoices):
    EQUITY = "equity", "Stock"
    ETF = "etf", "ETF"
    FUND = "fund", "Mutual fund"
    MONEY_FUND = "money_fund", "Money fund"
    OPTION = "option", "Option"
    BOND = "bond", "Bond"
    FUTURE = "future", "Future"
    CRYPTO = "crypto", "Crypto"
    FOREX = "forex", "Currency pair"
    OTHER = "other", "Other"


class TransactionKind(TextChoices):
    BUY = "buy", "Buy"
    SELL = "sell", "Sell"
    DIVIDEND = "dividend", "Dividend"
    INTEREST = "interest", "Interest"
    FEE = "fee", "Fee"
    TAX = "tax", "Tax"
    DEPOSIT = "deposit", "Deposit"
    WITHDRAWAL = "withdrawal", "Withdrawal"
    TRANSFER_IN = "transfer_in", "Transfer in"
    TRANSFER_OUT = "transfer_out", "Transfer out"
    SPLIT = "split", "Split"
    CORPORATE_ACTION = "corporate_action", "Corporate action"
    OPTION_EXERCISE = "option_exercise", "Option exercised"
    OPTION_ASSIGNMENT = "option_assignment", "Option assigned"
    OPTION_EXPIRATION = "option_expiration", "Option expired"
    FX = "fx", "Currency exchange"
    OTHER = "other", "Other"


class RecordStatus(TextChoices):
    POSTED = "posted", "Posted"
    PENDING = "pending", "Pending"
    VOID = "void", "Cancelled by the broker"


class AccountKind(TextChoices):
    CASH = "cash", "Cash"
    MARGIN = "margin", "Margin"
    UNKNOWN = "unknown", "Unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentRecord:
    """An instrument as one source names it, `symbol` in our spelling: `BRK.B`; options in OSI form, 21 characters."""

    asset_class: AssetClass
    symbol: str
    currency: str = "USD"
    name: str = ""
    cusip: str = ""
    isin: str = ""
    conid: str = ""  # Interactive Brokers' contract id, which outlives a change of symbol
    underlying: str = ""
    multiplier: Decimal = Decimal(
        1
    )  # cash value of one unit = price x multiplier (options 100, bonds priced per 100: 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRecord:
    external_id: str  # the broker's own id, stable over reconnects
    number_mask: str  # never more than the last four characters
    name: str
    kind: AccountKind
    currency: str
    aliases: tuple[str, ...] = ()  # other numbers the broker has for it: two connections that share one count it twice
    closed: bool = False  # the broker says so; one it does not list at all may be closed or not

    def __post_init__(self) -> None:
        """An id of another form is a changed schema, and would make a second account of the same. Raises ValueError."""
        said: object = self.external_id  # whatever the hint promises: it comes off the wire
        if not (isinstance(said, str) and _ACCOUNT_ID.fullmatch(said)):
            raise ValueError("what should be an account's id is none")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionRecord:
    external_id: (
        str  # the broker's own id; with account and source our guard against booking twice; "" when it has none
    )
    kind: TransactionKind
    traded_on: date  # the broker's market date
    settled_on: date | None = None
    occurred_at: datetime | None = None  # aware, UTC
    instrument: InstrumentRecord | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    gross_amount: Decimal | None = None  # signed cash before fees and taxes
    fees: Decimal = Decimal(0)  # positive = paid
    taxes: Decimal = Decimal(0)  # positive = paid
    net_amount: Decimal  # the authoritative signed cash effect
    currency: str
    description: str = ""
    subtype: str = ""  # the source's own finer word: "reinvest", "short", "withholding"
    group_id: str = ""  # legs of one event share it
    status: RecordStatus = RecordStatus.POSTED
    raw: Mapping[str, Any]  # untouched, for the day our reading of it proves wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedRecord:
    """A row that no rule understands: kept as it came, with the reason in words; never dropped."""

    external_id: str
    reason: str
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionRecord:
    instrument: InstrumentRecord
    quantity: Decimal
    average_cost: Decimal | None  # per unit, fees included where the broker includes them
    price: Decimal | None
    market_value: Decimal | None  # signed, already multiplied
    day_change: Decimal | None = None  # of the market value, in `currency`
    currency: str
    as_of: datetime | None = None  # when it was so; None: when all the account's holdings were told
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceRecord:
    currency: str
    cash: Decimal | None
    net_asset_value: Decimal | None  # everything in the account, cash included
    settled_cash: Decimal | None = None
    market_value: Decimal | None = None
    buying_power: Decimal | None = None
    margin_used: Decimal | None = None
    accrued_interest: Decimal | None = None
    exchange_rate: Decimal | None = None  # units of the account's own currency for one of this, by the broker
    as_of: datetime | None = None  # when it was so; None: when all the account's holdings were told
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRecord:
    """A day's close, in the units of today: splits that came later are in it, dividends are not."""

    on: date
    close: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueRecord:
    """What the broker says a whole account was worth at the end of a day gone by, all currencies in one."""

    on: date
    net_asset_value: Decimal
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What the broker says an account holds at one moment. A failed call never becomes empty holdings."""

    as_of: datetime
    positions: tuple[PositionRecord, ...]
    balances: tuple[BalanceRecord, ...]
    past: tuple[ValueRecord, ...] = ()  # days gone by, where the same answer tells them


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who signed in, by the broker's own key for that login; recognises a second connect."""

    broker_user_key: str
    display_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionPage:
    """One answer of the broker, to be booked with its cursor in one database transaction.

    `covers` is the window the page answers for; `window_count` counts of how many windows the whole fetch consists.
    """

    records: tuple[TransactionRecord | ParkedRecord, ...]
    covers_from: date
    covers_to: date
    number: int = 1
    window_count: int = 1
    notes: tuple[str, ...] = field(default=())
