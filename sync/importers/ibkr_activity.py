"""Interactive Brokers' activity statement as CSV, and extracts of its Trades, in the languages of `ibkr_words`.

Orders and their single trades stand beside each other, so one of the two is read. Rows may be dated in an earlier year:
taxes are often corrected in the spring after. No row has an id.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from django.utils import timezone

from connections.brokers.records import Broker, InstrumentRecord, ParkedRecord, TransactionKind, TransactionRecord
from sync.importers import ibkr_names, ibkr_sheets
from sync.importers.base import AS_PRINTED, Choices, FileRow, Format, Match, ParsedFile
from sync.importers.ibkr_sheets import Line, Sheets
from sync.importers.ibkr_words import SECTIONS, Section, folded
from sync.importers.reader import Source

K = TransactionKind
ZERO = Decimal(0)
CENT = Decimal("0.01")
HISTORY = "transaction history"
OPTION_EVENTS = {"Ep": K.OPTION_EXPIRATION, "A": K.OPTION_ASSIGNMENT, "Ex": K.OPTION_EXERCISE}
DELIVERIES = {"A": "assignment", "Ex": "exercise"}
MONEY = {  # sections of money alone: kind, and kind when money leaves
    Section.CASH_MOVES: (K.DEPOSIT, K.WITHDRAWAL, ""),
    Section.DIVIDENDS: (K.DIVIDEND, K.DIVIDEND, ""),
    Section.TAX: (K.TAX, K.TAX, "withholding"),
    Section.FEES: (K.FEE, K.FEE, ""),
    Section.INTEREST: (K.INTEREST, K.INTEREST, ""),
    Section.CHARGES: (K.TAX, K.TAX, "transaction"),
    Section.ADJUSTMENTS: (K.FEE, K.FEE, "commission"),
}
ACTIONS = (  # what a corporate action's text has within, in any language we know: what it is
    (re.compile(r"cusip/isin", re.I), K.CORPORATE_ACTION, "issue_change"),
    (re.compile(r"\bsplit\b|сплит|дроблени", re.I), K.SPLIT, ""),
    (re.compile(r"spin-?\s?off|спин-?офф|выделени", re.I), K.CORPORATE_ACTION, "spin_off"),
    (re.compile(r"merged|слияни|mesclado", re.I), K.CORPORATE_ACTION, "merger"),
    (re.compile(r"tendered|тендер", re.I), K.CORPORATE_ACTION, "tender"),
    (re.compile(r"stock dividend|дивиденд[а-я]* акци", re.I), K.CORPORATE_ACTION, "stock_dividend"),
)
_RATIO = re.compile(r"\b(\d+) (?:for|на|к|para|por) (\d+)\b", re.I)
_IN_LIEU = re.compile(r"in lieu", re.I)


class IbkrActivity(Format):
    key: ClassVar = "ibkr_activity"
    label: ClassVar = "Interactive Brokers, activity statement"
    broker: ClassVar = Broker.IBKR
    institution: ClassVar = "Interactive Brokers"

    def detect(self, source: Source) -> Match | None:
        if source.is_markup:
            return None
        found = list(ibkr_sheets.sections(source.head()))
        if not found or any(name.casefold() == HISTORY for name, _ in found):
            return None
        if found[0] == ("Statement", "Header"):
            return Match(score=100, reason="It begins as Interactive Brokers' statements do.")
        is_extract = all(
            SECTIONS.get(folded(name)) is Section.TRADES and kind in ibkr_sheets.KINDS for name, kind in found
        )
        has_levels = any("DataDiscriminator" in row for row in source.head())
        return Match(score=95, reason="All its rows are trades of a statement.") if is_extract and has_levels else None

    def parse(self, source: Source, choices: Choices = AS_PRINTED) -> ParsedFile:
        reading = _Reading(ibkr_sheets.read(source))
        for line in reading.sheets.lines:
            reading.take(line)
        skipped = sorted(reading.sheets.skipped, key=lambda row: row.line)
        return ParsedFile(rows=tuple(reading.rows), skipped=tuple(skipped), warnings=tuple(reading.warnings()))


@dataclass
class _Reading:
    sheets: Sheets
    rows: list[FileRow] = field(default_factory=list)
    level: str = field(init=False)  # of trades: orders where there are any
    exchanges: Counter[str] = field(default_factory=Counter)
    commission_in: str = ""  # that exchanges of currency were charged in, as printed
    tomorrow: date = field(default_factory=lambda: timezone.now().date() + timedelta(days=1))

    def __post_init__(self) -> None:
        self.level = "Order" if any(line.discriminator == "Order" for line in self.sheets.lines) else "Trade"

    def take(self, line: Line) -> None:
        if not line.currency:
            self.sheets.skip(line.number, "it adds up other rows")
        elif line.section is Section.TRADES and line.discriminator != self.level:
            self.sheets.skip(line.number, f"it is told by the {self.level.lower()}s")
        elif line.section is Section.CHARGES and ":" in line.text("at"):
            self.sheets.skip(line.number, "it is in the commission of its trade")
        else:
            self.rows.append(self._row(line))

    def _row(self, line: Line) -> FileRow:
        records: tuple[TransactionRecord | ParkedRecord, ...]
        try:
            records = tuple(self._records(line))
        except ValueError as error:
            records = (ParkedRecord(external_id="", reason=f"{error}.", raw=line.raw),)
        return FileRow(line=line.number, records=records, account_hint=line.text("account") or self.sheets.account)

    def _records(self, line: Line) -> Iterator[TransactionRecord]:
        """Raises ValueError."""
        if line.section is Section.TRADES:
            is_exchange = line.text("category").casefold() == "forex"
            yield from self._exchange(line) if is_exchange else self._trade(line)
        elif line.section is Section.ACTIONS:
            yield self._action(line)
        elif line.section is Section.TRANSFERS:
            yield self._transfer(line)
        else:
            yield self._money(line)

    def _common(self, line: Line, *columns: str) -> dict[str, Any]:
        """Raises ValueError."""
        on, moment = line.when(*columns)
        if on > self.tomorrow:
            raise ValueError(f"The date {on} is in the future")
        description = line.text("description")
        return {
            "external_id": "",
            "traded_on": on,
            "occurred_at": moment,
            "description": description,
            "currency": line.currency,
            "raw": line.raw,
        }

    def _trade(self, line: Line) -> Iterator[TransactionRecord]:
        common, quantity = self._common(line, "at"), line.number_in("quantity")
        proceeds, commission = line.number_in("proceeds"), line.number_in("fee") or ZERO
        if not quantity or proceeds is None:
            raise ValueError("A trade needs a quantity and proceeds")
        thing = self._security(line)
        gross = proceeds if ibkr_names.has_principal(line.text("category")) else None
        price = line.number_in("price")
        kind, subtype = _side(line, quantity, is_option=bool(thing.underlying), is_free=not price)
        own = line.commission_in in ("", line.currency)
        net = (gross or ZERO) + (commission if own else ZERO)
        yield TransactionRecord(
            kind=kind,
            subtype=subtype,
            instrument=thing,
            quantity=quantity,
            price=None if price is None else abs(price),
            gross_amount=gross,
            fees=-commission if own else ZERO,
            net_amount=net,
            **common,
        )
        if commission and not own:
            yield self._commission(commission, line.commission_in, common)

    def _exchange(self, line: Line) -> Iterator[TransactionRecord]:
        """AAA.BBB: the quantity is AAA, the proceeds BBB. The commission is printed in the account's currency."""
        base, dot, quote = line.text("symbol").partition(".")
        quantity, proceeds = line.number_in("quantity"), line.number_in("proceeds")
        if not dot or quote != line.currency or quantity is None or proceeds is None:
            raise ValueError(f"“{line.text('symbol')[:20]}” is no exchange for {line.currency}")
        commission = line.number_in("fee") or ZERO
        paid_in = line.commission_in or quote
        common = self._common(line, "at")
        event = f"{line.text('at')} {line.text('symbol')}"
        self.exchanges[event] += 1
        common["group_id"] = f"{event} {self.exchanges[event]}"
        for currency, amount in ((quote, proceeds), (base, quantity)):
            own = commission if currency == paid_in else ZERO
            yield TransactionRecord(
                kind=K.FX, gross_amount=amount, fees=-own, net_amount=amount + own, **common | {"currency": currency}
            )
        if commission:
            self.commission_in = paid_in
            if paid_in not in (base, quote):
                yield self._commission(commission, paid_in, common)

    def _commission(self, amount: Decimal, currency: str, common: dict[str, Any]) -> TransactionRecord:
        return TransactionRecord(kind=K.FEE, subtype="commission", net_amount=amount, **common | {"currency": currency})

    def _money(self, line: Line) -> TransactionRecord:
        amount = line.number_in("amount", "quantity")  # the Spanish call both by one word
        if amount is None:
            raise ValueError("The row needs an amount")
        incoming, outgoing, subtype = MONEY[line.section]
        text = line.text("description")
        if line.section is Section.CHARGES:
            thing: InstrumentRecord | None = self._security(line)
        else:
            thing = ibkr_names.mentioned(text, line.currency, book=self.sheets.listed)
        if line.section is Section.DIVIDENDS and _IN_LIEU.search(text):
            subtype = "in_lieu"
        return TransactionRecord(
            kind=incoming if amount > 0 else outgoing,
            subtype=subtype,
            instrument=thing,
            net_amount=amount,
            **self._common(line, "date", "at"),
        )

    def _action(self, line: Line) -> TransactionRecord:
        text, quantity = line.text("description"), line.number_in("quantity")
        common = self._common(line, "at", "date")
        found = ((kind, subtype) for pattern, kind, subtype in ACTIONS if pattern.search(text))
        kind, subtype = next(found, (K.CORPORATE_ACTION, ""))
        ratio = _RATIO.search(text)
        if kind is K.SPLIT and ratio and int(ratio[1]) < int(ratio[2]):
            subtype = "reverse"
        return TransactionRecord(
            kind=kind,
            subtype=subtype,
            instrument=ibkr_names.concerned(
                text, line.currency, book=self.sheets.listed, category=line.text("category")
            ),
            quantity=quantity or None,
            net_amount=line.number_in("proceeds") or ZERO,
            group_id=f"{common['traded_on']}:{text.partition(' (')[0]}"[:80],
            **common,
        )

    def _transfer(self, line: Line) -> TransactionRecord:
        quantity, cash = line.number_in("quantity") or ZERO, line.number_in("cash") or ZERO
        if bool(quantity) == bool(cash):
            raise ValueError("A transfer moves either units or money")
        moved = quantity or cash
        if line.text("direction").casefold() == "out":
            moved = -abs(moved)
        return TransactionRecord(
            kind=K.TRANSFER_IN if moved > 0 else K.TRANSFER_OUT,
            subtype="in_kind" if quantity else "",
            instrument=self._security(line) if quantity else None,
            quantity=moved if quantity else None,
            price=line.number_in("price") or None,
            net_amount=ZERO if quantity else moved,
            **self._common(line, "date", "at"),
        )

    def _security(self, line: Line) -> InstrumentRecord:
        """Raises ValueError."""
        return ibkr_names.security(
            line.text("symbol"), line.currency, book=self.sheets.listed, category=line.text("category")
        )

    def warnings(self) -> Iterator[str]:
        for name in self.sheets.strange:
            yield f"The hub does not know the section “{name[:60]}”; its rows were not read."
        moved: dict[str, Decimal] = {}
        for row in self.rows:
            for record in row.records:
                if isinstance(record, TransactionRecord):
                    moved[record.currency] = moved.get(record.currency, ZERO) + record.net_amount
        for currency, ending in self.sheets.ending.items():
            printed = ending - self.sheets.starting.get(currency, ZERO)
            if abs(printed - moved.get(currency, ZERO)) > CENT:
                yield (
                    f"By the Cash Report {currency} changed by {printed}; the rows add up to "
                    f"{moved.get(currency, ZERO)}.{self._reason(currency)}"
                )

    def _reason(self, currency: str) -> str:
        """Of exchanges the statement prints the commission in the account's currency, whatever it was charged in."""
        if not self.commission_in:
            return ""
        charged = (
            " may have been charged in another currency than"
            if currency == self.commission_in
            else (" may have been charged in this currency, not in")
        )
        return f" Commissions on exchanges{charged} {self.commission_in}, in which the statement prints them."


def _side(line: Line, quantity: Decimal, *, is_option: bool, is_free: bool) -> tuple[TransactionKind, str]:
    codes = {code.strip() for code in line.text("code").split(";")}
    kind = K.BUY if quantity > 0 else K.SELL
    if "Ca" in codes:  # it takes back a trade of the other side
        return (K.SELL if kind is K.BUY else K.BUY), "cancelled"
    for code, event in OPTION_EVENTS.items():
        if code in codes and is_option and is_free:
            return event, ""
    for code, subtype in DELIVERIES.items():
        if code in codes:
            return kind, subtype
    if "R" in codes:
        return kind, "reinvest"
    if {"O", "C"} <= codes:  # it closed one position and opened the opposite
        return kind, ""
    return kind, "short" if kind is K.SELL and "O" in codes else "cover" if kind is K.BUY and "C" in codes else ""
