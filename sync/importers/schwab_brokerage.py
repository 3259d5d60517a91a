"""Charles Schwab's brokerage transactions as CSV (Accounts, History, Export).

Seen in exports of 2019 to 2026: a title row or none, columns in any order, a comma at the end of lines or none, newest
row first. Quantities of sales are printed positive; journals, splits, mergers and expiries carry the sign of the change
in the position. A row has no id of its own and may truly occur twice.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum, auto
from functools import lru_cache
from typing import ClassVar

from django.utils import timezone

from connections.brokers.records import (
    AssetClass,
    Broker,
    InstrumentRecord,
    ParkedRecord,
    TransactionKind,
    TransactionRecord,
)
from sync.importers.base import Cells, Match, ParsedFile, find_header
from sync.importers.dates import parse_as_of
from sync.importers.numbers import parse_number
from sync.importers.reader import Table

K = TransactionKind
ZERO = Decimal(0)
COLUMNS = frozenset({"date", "action", "symbol", "description", "quantity", "price", "fees & comm", "amount"})
TITLE = re.compile(r"transactions\s+for account", re.I)
FOOTER = "transactions total"
MOST_ROWS = 10_000  # that Schwab puts into one file, as its users report; the oldest are left out
MOST_WORDS = 20  # unknown words named one by one; a damaged file may have as many as it has rows
CURRENCY = "USD"  # Schwab names no currency anywhere: its accounts are in dollars


class Sign(Enum):
    """Where the sign of a row's quantity, or the direction of a movement, comes from."""

    IN = auto()  # always adds to the position, however it is printed
    OUT = auto()  # always takes from it
    PRINTED = auto()  # as it stands in the file
    NONE = auto()  # the row moves money only


@dataclass(frozen=True, slots=True)
class Rule:
    kind: TransactionKind
    sign: Sign = Sign.NONE
    subtype: str = ""
    outgoing: TransactionKind | None = None  # the kind when money or shares leave
    paired: bool = False  # one event in two rows

    @property
    def needs_amount(self) -> bool:
        """Whether the row is about money, so that a missing amount is unknown and not nothing."""
        return self.sign is Sign.NONE or self.kind in (K.BUY, K.SELL)


def _bank(subtype: str = "") -> Rule:
    return Rule(K.DEPOSIT, subtype=subtype, outgoing=K.WITHDRAWAL)


def _corporate(subtype: str, *, paired: bool = False) -> Rule:
    return Rule(K.CORPORATE_ACTION, Sign.PRINTED, subtype, paired=paired)


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
    "MoneyLink Transfer": _bank(),
    "MoneyLink Deposit": _bank(),
    "MoneyLink Adj": _bank("adjustment"),
    "Wire Funds": _bank("wire"),
    "Wire Funds Received": _bank("wire"),
    "Wire Sent": _bank("wire"),
    "Wire Received": _bank("wire"),
    "Funds Received": _bank(),
    "Funds Paid": _bank(),
    "ATM Withdrawal": _bank("ATM"),
    "Visa Purchase": _bank("card"),
    "Journal": Rule(K.TRANSFER_IN, outgoing=K.TRANSFER_OUT),
    "Internal Transfer": Rule(K.TRANSFER_IN, outgoing=K.TRANSFER_OUT),
    "Journaled Shares": Rule(K.TRANSFER_IN, Sign.PRINTED, "in_kind", outgoing=K.TRANSFER_OUT),
    "Security Transfer": Rule(K.TRANSFER_IN, Sign.PRINTED, "in_kind", outgoing=K.TRANSFER_OUT),
    "Stock Plan Activity": Rule(K.TRANSFER_IN, Sign.PRINTED, "stock plan", outgoing=K.TRANSFER_OUT),
    "Stock Split": Rule(K.SPLIT, Sign.PRINTED),
    "Reverse Split": Rule(K.SPLIT, Sign.PRINTED, "reverse", paired=True),
    "Stock Div Dist": _corporate("stock dividend"),
    "Spin-off": _corporate("spin-off"),
    "Stock Merger": _corporate("merger", paired=True),
    "Cash Merger": _corporate("merger", paired=True),
    "Cash Merger Adj": _corporate("merger", paired=True),
    "Full Redemption": _corporate("redemption", paired=True),
    "Full Redemption Adj": _corporate("redemption", paired=True),
    "Name Change": _corporate("name change", paired=True),
    "Conversion": _corporate("conversion", paired=True),
    "Cash In Lieu": _corporate("cash in lieu"),
    "Promotional Award": Rule(K.OTHER, subtype="award"),
    "Misc Cash Entry": Rule(K.OTHER),
    "Schwab ATM Rebate": Rule(K.OTHER, subtype="ATM rebate"),
    "Misc Credits": Rule(K.OTHER),
}
RULES = {word.casefold(): rule for word, rule in ACTIONS.items()}
UNKNOWN = Rule(K.OTHER, Sign.PRINTED)

_OPTION = re.compile(
    r"([A-Z0-9./]{1,6}) (\d\d)/(\d\d)/\d\d(\d\d) (?=\.?\d)(\d{0,5}|\d{1,2},\d{3})(?:\.(\d{1,3}))? ([CP])", re.ASCII
)
_OSI = re.compile(r"([A-Z0-9.]{1,6})\s*(\d{6}[CP]\d{8})", re.ASCII)
_CUSIP = re.compile(r"[0-9]{3}[0-9A-Z]{5}[0-9]", re.ASCII)
_FUND = re.compile(r"[A-Z]{4}X", re.ASCII)  # Nasdaq's rule: five letters ending in X; XX is a money fund


@dataclass(frozen=True, slots=True)
class SchwabBrokerage:
    key: ClassVar = "schwab_brokerage"
    label: ClassVar = "Charles Schwab, brokerage transactions"
    broker: ClassVar = Broker.SCHWAB

    def detect(self, head: Sequence[Cells]) -> Match | None:
        header = find_header(head, COLUMNS)
        if header is None:
            return None
        titled = any(row and TITLE.match(row[0].strip()) for row in head[:header])
        reason = "has the title and all columns" if titled else "has all columns"
        return Match(score=100 if titled else 90, reason=f"The file {reason} of Schwab's export.", header_row=header)

    def parse(self, table: Table) -> ParsedFile:
        reading = _Reading()
        for cells in table:
            reading.take({name.casefold(): cell for name, cell in cells.items()}, cells)
        if table.cut:
            rows = f"{table.cut} row{'' if table.cut == 1 else 's'}"
            reading.warnings.append(f"In {rows} there were more cells than columns; the rest was not read.")
        return reading.result()


class _Reading:
    """One pass over a file: its records, what to warn of, and the sum to compare with the footer."""

    def __init__(self) -> None:
        self.records: list[TransactionRecord | ParkedRecord] = []
        self.warnings: list[str] = []
        self.total = ZERO
        self.printed_total: Decimal | None = None
        self.unknown: dict[str, int] = {}
        self._pairs: dict[str, int] = {}
        self._today = timezone.now().date() + timedelta(days=1)  # east of here it may be tomorrow

    def take(self, cells: Mapping[str, str], raw: Mapping[str, str]) -> None:
        values = {name: cell.strip() for name, cell in cells.items()}
        if not any(values.values()):
            return
        try:
            if FOOTER in (values["date"].casefold(), values["action"].casefold()):
                self.printed_total = parse_number(values["amount"])
                return
            record = self._record(values, raw)
        except ValueError as error:
            self.records.append(ParkedRecord(external_id="", reason=f"{error}.", raw=dict(raw)))
        else:
            self.records.append(record)
            self.total += record.net_amount

    def _record(self, values: Mapping[str, str], raw: Mapping[str, str]) -> TransactionRecord:
        """Raises ValueError for a cell that cannot be read or is missing."""
        posted_on, effective_on = parse_as_of(values["date"])
        if max(posted_on, effective_on) > self._today:
            raise ValueError(f"The date “{values['date'][:40]}” is in the future")
        action = values["action"]
        rule = RULES.get(action.casefold(), UNKNOWN)
        amount, fees = parse_number(values["amount"]), parse_number(values["fees & comm"]) or ZERO
        quantity = _signed(rule, action, parse_number(values["quantity"]))
        if rule.needs_amount and amount is None:
            raise ValueError(f"A row “{action}” needs an amount")
        net = amount or ZERO
        direction = quantity or net  # units that are moved say where to; money does where none are
        price = parse_number(values["price"])
        instrument = _instrument(values["symbol"], values["description"])
        if rule is UNKNOWN:
            self.unknown[action] = self.unknown.get(action, 0) + 1
        return TransactionRecord(
            external_id="",
            kind=rule.outgoing if rule.outgoing is not None and direction < 0 else rule.kind,
            subtype=rule.subtype if rule is not UNKNOWN else action[:40],
            traded_on=effective_on,
            settled_on=posted_on if posted_on != effective_on else None,
            instrument=instrument,
            quantity=quantity,
            price=None if price is None else abs(price),
            gross_amount=None if amount is None else net + fees,
            fees=fees,
            net_amount=net,
            currency=CURRENCY,
            description=values["description"],
            group_id=self._group(rule, posted_on),
            raw=dict(raw),
        )

    def _group(self, rule: Rule, posted_on: date) -> str:
        """The two rows of one event stand next to each other: they are numbered in twos within their day."""
        if not rule.paired:
            return ""
        event = f"{posted_on:%Y%m%d} {rule.subtype}"
        self._pairs[event] = self._pairs.get(event, -1) + 1
        return f"{event} {self._pairs[event] // 2 + 1}"

    def result(self) -> ParsedFile:
        for action, times in list(self.unknown.items())[:MOST_WORDS]:
            self.warnings.append(
                f"“{action[:40]}” is a word of Schwab's that the hub does not know yet. Its {times} row"
                f"{' is' if times == 1 else 's are'} kept as “other”, with cash and quantity as printed."
            )
        if len(self.unknown) > MOST_WORDS:
            self.warnings.append(
                f"The file has {len(self.unknown)} such words, which is many. Is it as Schwab exported it?"
            )
        if len(self.records) >= MOST_ROWS:
            self.warnings.append(
                f"The file has {len(self.records):,} rows and Schwab puts at most {MOST_ROWS:,} into one, so older "
                "ones may be missing. Export the earlier dates as well."
            )
        if self.printed_total is not None and self.printed_total != self.total:
            self.warnings.append(
                f"The file says its amounts add up to {self.printed_total} USD; the rows add up to {self.total} USD."
            )
        return ParsedFile(records=tuple(self.records), warnings=tuple(self.warnings))


def _signed(rule: Rule, action: str, quantity: Decimal | None) -> Decimal | None:
    """Raises ValueError when a trade has no quantity."""
    if rule.sign in (Sign.IN, Sign.OUT):
        if not quantity:
            raise ValueError(f"A row “{action}” needs a quantity")
        return abs(quantity) if rule.sign is Sign.IN else -abs(quantity)
    return quantity if rule.sign is Sign.PRINTED else None


@lru_cache(maxsize=8192)  # a file has many rows of one security
def _instrument(symbol: str, description: str) -> InstrumentRecord | None:
    """What the symbol stands for. The file names no kind of security: beyond options and CUSIPs it is a guess from the
    name, which the identity of the instrument does not depend on."""
    bare = symbol.upper()
    if not bare:
        return None
    option = _option(bare)
    if option is not None:
        underlying = option[:6].strip()
        return InstrumentRecord(
            asset_class=AssetClass.OPTION,
            symbol=option,
            name=description,
            underlying=underlying,
            multiplier=Decimal(100),
        )
    if len(bare) > 40:
        raise ValueError(f"“{symbol[:40]}” is too long for a symbol")
    return InstrumentRecord(
        asset_class=_asset_class(bare, description.upper()),
        symbol=bare.replace("/", "."),
        name=description,
        cusip=bare if _CUSIP.fullmatch(bare) else "",
    )


def _option(symbol: str) -> str | None:
    """`NVDA 02/23/2024 1080.00 C` and `SPY   250321C00500000` in OSI form.

    That is the root padded to six characters, YYMMDD, C or P, and 1000 times the strike in eight digits.
    """
    printed = _OPTION.fullmatch(symbol)
    if printed:
        printed_root, month, day, year, whole, fraction, side = printed.groups()
        root = re.sub(r"[./]", "", printed_root)  # an option on BRK.B is written BRKB
        strike = int(whole.replace(",", "") or 0) * 1000 + int((fraction or "0").ljust(3, "0"))
        return f"{root:<6}{year}{month}{day}{side}{strike:08d}"
    osi = _OSI.fullmatch(symbol)
    return f"{osi[1].replace('.', ''):<6}{osi[2]}" if osi else None


def _asset_class(symbol: str, name: str) -> AssetClass:
    if _FUND.fullmatch(symbol):
        return AssetClass.MONEY_FUND if symbol.endswith("XX") else AssetClass.FUND
    if _CUSIP.fullmatch(symbol) and " DUE " in name:
        return AssetClass.BOND
    return AssetClass.ETF if " ETF" in name else AssetClass.EQUITY
