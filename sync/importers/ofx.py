"""OFX and QFX downloads: investment statements, and the bank statements that come with them.

Version 1 of the standard is SGML whose values are never closed, version 2 is XML; both are the same few tags, which is
all that is read here: no entities, no document types, nothing is ever expanded or fetched. (Of the parsers one can
install, ofxtools may not go into a program under our licence and ofxparse has not been kept since 2021.)

FITID is the institution's id of a transaction, within an account.
"""

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from django.utils import timezone

from connections.brokers.records import (
    AssetClass,
    Broker,
    InstrumentRecord,
    ParkedRecord,
    TransactionKind,
    TransactionRecord,
)
from sync.importers import instruments
from sync.importers.base import AS_PRINTED, Choices, FileNotRead, FileRow, Format, Match, ParsedFile
from sync.importers.numbers import parse_number
from sync.importers.reader import MAX_CELL, MAX_ROWS, TOO_LONG_CELL, TOO_MANY_ROWS, FileUnreadable, Source
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
    transfer,
)

K = TransactionKind
ZERO = Decimal(0)
MAX_DEPTH, MAX_ELEMENTS = 30, 600_000  # 100 bytes each; a transaction has about twenty
_TAG = re.compile(r"<(/?)([A-Z0-9_.]{1,40})(/?)>([^<]*)", re.ASCII | re.I)
_OFX = re.compile(r"<OFX>", re.I)
_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)

# The element of a transaction, and what it is; those of money alone by their type further down.
TRADES: dict[str, Rule] = {
    **dict.fromkeys(("BUYSTOCK", "BUYMF", "BUYDEBT", "BUYOTHER", "BUYOPT"), BUY),
    **dict.fromkeys(("SELLSTOCK", "SELLMF", "SELLDEBT", "SELLOTHER", "SELLOPT"), SELL),
    "REINVEST": REINVEST,
    "INCOME": DIVIDEND,
    "RETOFCAP": Rule(K.DIVIDEND, subtype="return of capital"),
    "INVEXPENSE": FEE,
    "MARGININTEREST": Rule(K.INTEREST, subtype="margin"),
    "TRANSFER": transfer("in_kind", Sign.PRINTED),
    "JRNLFUND": Rule(K.OTHER, subtype="journal"),
    "JRNLSEC": Rule(K.OTHER, Sign.PRINTED, "journal", cash=False),
    "SPLIT": SPLIT,
    "INVBANKTRAN": bank(),
}
INCOME: dict[str, Rule] = {
    "DIV": DIVIDEND,
    "INTEREST": INTEREST,
    "CGLONG": Rule(K.DIVIDEND, subtype="long-term capital gain"),
    "CGSHORT": Rule(K.DIVIDEND, subtype="short-term capital gain"),
    "MISC": Rule(K.OTHER, subtype="income"),
}
MONEY: dict[str, Rule] = {  # TRNTYPE of bank statements and of money within investment ones
    "INT": INTEREST,
    "DIV": DIVIDEND,
    "FEE": FEE,
    "SRVCHG": FEE,
}
CLOSURES: dict[str, Rule] = {  # OPTACTION
    "EXPIRE": EXPIRED,
    "ASSIGN": Rule(K.OPTION_ASSIGNMENT, Sign.IN),
    "EXERCISE": Rule(K.OPTION_EXERCISE, Sign.OUT),
}
# Where a transaction says what; of several tags the first filled one counts.
TOLD = {
    "date": ("DTTRADE", "DTPOSTED"),
    "settled": ("DTSETTLE",),
    "symbol": ("UNIQUEID",),
    "name": ("MEMO", "NAME", "SECNAME"),
    "quantity": ("UNITS",),
    "price": ("UNITPRICE",),
    "fees": ("COMMISSION", "FEES", "LOAD"),
    "taxes": ("TAXES", "WITHHOLDING"),
    "amount": ("TOTAL", "TRNAMT"),
    "currency": ("CURSYM", "CURDEF"),
    "id": ("FITID",),
}
CLASSES = {
    "STOCKINFO": None,
    "MFINFO": AssetClass.FUND,
    "DEBTINFO": AssetClass.BOND,
    "OPTINFO": AssetClass.OPTION,
    "OTHERINFO": None,
}


@dataclass(slots=True)
class Element:
    """A tag with its value, or with what it holds."""

    tag: str
    line: int
    value: str = ""
    children: "list[Element] | tuple[()]" = ()  # a value has none

    def all(self, *tags: str) -> Iterator["Element"]:
        """Every element below with one of `tags`, not looking inside those found."""
        for child in self.children:
            if child.tag in tags:
                yield child
            else:
                yield from child.all(*tags)

    def text(self, tag: str) -> str:
        """The value of the first `tag` below; "" when there is none."""
        found = next(self.all(tag), None)
        return found.value if found else ""

    def flat(self) -> dict[str, str]:
        """Values by tag; of a tag that occurs twice, both."""
        values: dict[str, str] = {}
        for child in self.children:
            for name, value in (child.flat() if child.children else {child.tag: child.value}).items():
                values[name] = f"{values[name]}; {value}" if name in values else value
        return values


def tree(text: str) -> Element:
    """The elements of an OFX document. A tag with a value closes itself, as version 1 has it.

    Raises FileUnreadable for what is cut off or nested too deep.
    """
    begins = _OFX.search(text)
    root = Element("", 1, children=[])
    path, line, counted = [root], 1, 0
    for number, found in enumerate(_TAG.finditer(text, begins.start() if begins else len(text))):
        closing, tag, empty, value = found[1], found[2].upper(), found[3], found[4].strip()
        line += text.count("\n", counted, found.start())
        counted = found.start()
        if number >= MAX_ELEMENTS:
            raise FileUnreadable(TOO_MANY_ROWS)
        if len(value) > MAX_CELL:
            raise FileUnreadable(TOO_LONG_CELL)
        if closing:
            names = [element.tag for element in path]
            if tag in names:  # else the end of a value, which version 2 writes and version 1 may
                del path[len(names) - 1 - names[::-1].index(tag) :]
        elif value or empty:
            _add(path[-1], Element(tag, line, html.unescape(value)))
        elif len(path) > MAX_DEPTH:
            raise FileUnreadable("The file is damaged: its parts are nested without end.")
        elif text[found.end() : found.end() + len(tag) + 3].upper() != f"</{tag}>":
            path.append(_add(path[-1], Element(tag, line, children=[])))
    if begins is None or len(path) > 1:
        raise FileUnreadable("The file is damaged: it ends before its last part does. Download it again.")
    return root


def _add(parent: Element, child: Element) -> Element:
    if isinstance(parent.children, list):  # only what may hold others is ever a parent
        parent.children.append(child)
    return child


class OFX(Format):
    key: ClassVar = "ofx"
    label: ClassVar = "OFX or QFX download of any broker"
    broker: ClassVar = Broker.OTHER
    institution: ClassVar = "OFX"

    def detect(self, source: Source) -> Match | None:
        begins = source.beginning[:4000].upper()
        if source.is_markup and ("OFXHEADER" in begins or "<OFX>" in begins):
            return Match(score=100, reason="The file is an OFX (QFX) download.")
        return None

    def parse(self, source: Source, choices: Choices = AS_PRINTED) -> ParsedFile:
        root = tree(source.text)
        reading = _Reading(_securities(root))
        for statement in root.all("INVSTMTRS", "STMTRS", "CCSTMTRS"):
            reading.statement(statement)
        if not reading.statements:
            raise FileNotRead("The file holds no statement. Download the account's transactions, not its profile.")
        return ParsedFile(rows=tuple(reading.rows), warnings=tuple(reading.warnings))

    def told(self, raw: Mapping[str, Any]) -> dict[str, str]:
        """For the table of rejected rows: see `handed_back.Telling`."""
        said = {field: next((f"{raw[tag]}" for tag in tags if raw.get(tag)), "") for field, tags in TOLD.items()}
        rule = MONEY.get(raw.get("TRNTYPE", "").upper()) or TRADES.get(raw.get("", ""))
        rule = bank() if raw.get("") == "STMTTRN" and rule is None else rule
        is_outgoing = rule is not None and rule.outgoing is not None and said["amount"].startswith("-")
        kind = raw.get("UNIQUEIDTYPE", "").upper()
        return {
            **said,
            "word": "" if rule is None else (rule.outgoing or "") if is_outgoing else rule.kind,
            "cusip": said["symbol"] if kind == "CUSIP" else "",
            "isin": said["symbol"] if kind == "ISIN" else "",
            "symbol": raw.get("TICKER") or said["symbol"],
        }


class _Reading:
    def __init__(self, securities: Mapping[str, Element]) -> None:
        self.securities = securities
        self.rows: list[FileRow] = []
        self.warnings: list[str] = []
        self.statements = 0
        self.ids: set[tuple[str, str]] = set()
        self.tomorrow = timezone.now().date() + timedelta(days=1)

    def statement(self, statement: Element) -> None:
        self.statements += 1
        currency = statement.text("CURDEF").upper() or "USD"
        account = statement.text("ACCTID")
        lists = list(statement.all("INVTRANLIST", "BANKTRANLIST"))
        for element in (child for found in lists for child in found.children if child.children):
            if len(self.rows) >= MAX_ROWS:
                raise FileUnreadable(TOO_MANY_ROWS)
            try:
                records: tuple[TransactionRecord | ParkedRecord, ...] = (self._record(element, currency, account),)
            except ValueError as error:
                records = (self._parked(element, f"{error}.", currency, account),)
            self.rows.append(FileRow(line=element.line, records=records, account_hint=account))

    def _parked(self, element: Element, reason: str, currency: str, account: str) -> ParkedRecord:
        """With what the file says elsewhere of the row: the statement's currency, and its security."""
        name, info = element.text("FITID"), self.securities.get(element.text("UNIQUEID"))
        about = {tag: info.text(tag) for tag in ("TICKER", "SECNAME")} if info else {}
        return ParkedRecord(
            external_id="" if (account, name) in self.ids else name[:120],  # an id that is taken is that of another row
            reason=reason,
            raw={**_raw(element), "CURDEF": currency, **about},
        )

    def _record(self, element: Element, currency: str, account: str) -> TransactionRecord:
        """Raises ValueError."""
        name = element.text("FITID")
        if (account, name) in self.ids:
            raise ValueError(f"The id “{name[:40]}” is that of another row too")
        rule = _rule(element)
        on = _date(element.text("DTTRADE") or element.text("DTPOSTED"))
        if on > self.tomorrow:
            raise ValueError(f"The date {on} is in the future")
        code = next((found.text("CURSYM") for found in element.all("CURRENCY")), "") or currency
        amount, units = _number(element, "TOTAL", "TRNAMT"), _units(element, rule)
        if rule.needs_amount and amount is None:
            raise ValueError(f"A {element.tag} needs an amount")
        fees = sum((abs(_number(element, tag) or ZERO) for tag in ("COMMISSION", "FEES", "LOAD")), ZERO)
        taxes = sum((abs(_number(element, tag) or ZERO) for tag in ("TAXES", "WITHHOLDING")), ZERO)
        net = (amount or ZERO) if rule.cash else ZERO
        price = _number(element, "UNITPRICE")
        settled = element.text("DTSETTLE")
        record = TransactionRecord(
            external_id=name,
            kind=rule.outgoing if rule.outgoing is not None and (units or net) < 0 else rule.kind,
            subtype=rule.subtype,
            traded_on=on,
            settled_on=_date(settled) if settled else None,
            instrument=self._instrument(element, code),
            quantity=units,
            price=None if price is None else abs(price),
            gross_amount=None if amount is None else net + fees + taxes,
            fees=fees,
            taxes=taxes,
            net_amount=net,
            currency=code,
            description=element.text("MEMO") or element.text("NAME"),
            raw=_raw(element),
        )
        if name:
            self.ids.add((account, name))
        return record

    def _instrument(self, element: Element, currency: str) -> InstrumentRecord | None:
        identity = element.text("UNIQUEID")
        if not identity:
            return None
        info = self.securities.get(identity)
        kind = element.text("UNIQUEIDTYPE").upper()
        symbol, name = (info.text("TICKER"), info.text("SECNAME")) if info else ("", "")
        if contract := instruments.osi(symbol) or instruments.compact_option(symbol):
            return instruments.option_named(contract, name=name, currency=currency)
        return instruments.security(
            symbol or identity,
            name=name,
            cusip=identity if kind == "CUSIP" else "",
            isin=identity if kind == "ISIN" else "",
            currency=currency,
            asset_class=CLASSES.get(info.tag) if info else None,
        )


def _securities(root: Element) -> dict[str, Element]:
    return {info.text("UNIQUEID"): info for info in root.all(*CLASSES)}


def _rule(element: Element) -> Rule:
    """Raises ValueError for an element that is not known."""
    memo = element.text("MEMO").casefold()
    if element.tag == "INCOME":
        return INCOME.get(element.text("INCOMETYPE").upper(), DIVIDEND)
    if element.tag == "INVEXPENSE" and any(word in memo for word in ("w/h", "withh", "tax")):
        return Rule(K.TAX, subtype="withholding")
    if element.tag == "CLOSUREOPT" and (rule := CLOSURES.get(element.text("OPTACTION").upper())):
        return rule
    if element.tag in ("INVBANKTRAN", "STMTTRN"):
        return MONEY.get(element.text("TRNTYPE").upper(), bank())
    if element.tag not in TRADES:
        raise ValueError(f"The hub does not know a transaction “{element.tag[:40]}”")
    return TRADES[element.tag]


def _units(element: Element, rule: Rule) -> Decimal | None:
    """Signed. Raises ValueError."""
    if element.tag == "SPLIT":
        new, old = _number(element, "NEWUNITS"), _number(element, "OLDUNITS")
        return None if new is None or old is None else new - old
    units = _number(element, "UNITS")
    if rule.sign is Sign.NONE or units is None:
        return None
    if element.text("TFERACTION").upper() == "OUT" or rule.sign is Sign.OUT:
        return -abs(units)
    return abs(units) if rule.sign is Sign.IN else units


def _number(element: Element, *tags: str) -> Decimal | None:
    """The first of `tags` with a value. Some banks write a decimal comma. Raises ValueError."""
    text = next((value for tag in tags if (value := element.text(tag))), "")
    return parse_number(text, "," if "," in text and "." not in text else ".")


def _date(text: str) -> date:
    """Of `20230714170000.000[-5:EST]`: the day as the institution has it. Raises ValueError."""
    found = _DATE.match(text)
    try:
        if found:
            return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        pass  # said below
    raise ValueError(f"“{text[:40]}” is not a date like 20251231")


def _raw(element: Element) -> dict[str, str]:
    return {"": element.tag, **element.flat()}
