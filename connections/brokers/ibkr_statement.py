"""The paper a Flex query comes on: its XML, its sections, and the spellings of dates and numbers it may be set to.

Everything stands in attributes. An attribute that is not there was not ticked in the query, which only the person can
mend: IncompleteQuery says in words which one. An empty one means that there is nothing to say.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from xml.etree.ElementTree import Element, ParseError, TreeBuilder  # nosec B405  # names for types and building; defusedxml parses
from zoneinfo import ZoneInfo

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from connections.brokers.base import Refused, UnexpectedReply

MOST_ELEMENTS = 500_000
NOTHING = {"", "-", "--", "N/A", "MULTI"}
NEW_YORK = ZoneInfo("America/New_York")
ZONES = {None: NEW_YORK, "EST": NEW_YORK, "EDT": NEW_YORK, "UTC": UTC, "GMT": UTC}  # no suffix is US Eastern
TITLES = {  # as the page for editing a query calls the sections
    "AccountInformation": "Account Information",
    "CashReport": "Cash Report",
    "CashTransactions": "Cash Transactions",
    "CorporateActions": "Corporate Actions",
    "EquitySummaryInBase": "Net Asset Value (NAV) in Base",
    "OpenPositions": "Open Positions",
    "Trades": "Trades",
    "Transfers": "Transfers",
}
_SLASHED = re.compile(r"(\d\d)/(\d\d)/\d\d")
_MOMENT = re.compile(
    r"(?P<day>\d{8}|\d{4}-\d\d-\d\d|\d\d/\d\d/\d{4}|\d\d/\d\d/\d\d|\d\d-[A-Za-z]{3}-\d\d)"
    r"(?:[;, ]{0,2}(?P<time>\d{6}|\d\d:\d\d:\d\d))?(?: +(?P<zone>[A-Z]{2,5}))?"
)


class TooLong(ValueError):
    """A document of more elements than we take."""


class IncompleteQuery(Refused):
    """The person's Flex query leaves out what the hub needs, or is set wrongly; the text says what to change."""


class Odd(Exception):
    """No rule fits this row; the text says what is odd about it."""


def lacking(section: str, name: str = "") -> IncompleteQuery:
    title = TITLES.get(section, section)
    what = f"the field {name} in its section {title}" if name else f"the section {title}"
    return IncompleteQuery(f"Your Flex query lacks {what}. Edit the query at Interactive Brokers, then sync again.")


@dataclass(frozen=True, slots=True)
class Dates:
    """How one document writes its days. `day_first` is None when its slashed days could be read either way."""

    day_first: bool | None

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Dates":
        parts = [match.groups() for match in map(_SLASHED.match, texts) if match]
        day_first = any(int(first) > 12 for first, _ in parts)
        month_first = any(int(second) > 12 for _, second in parts)
        return cls(None if day_first == month_first else day_first)

    def day(self, text: str) -> date:
        return self._read(text)[0]

    def moment(self, text: str) -> datetime | None:
        """Aware, UTC; None for a bare day or an unknown time zone."""
        day, clock, zone = self._read(text)
        if clock is None or zone not in ZONES:
            return None
        at = datetime.strptime(clock.replace(":", ""), "%H%M%S").time()  # noqa: DTZ007 (the zone stands beside it)
        return datetime.combine(day, at, ZONES[zone]).astimezone(UTC)

    def _read(self, text: str) -> tuple[date, str | None, str | None]:
        match = _MOMENT.fullmatch(text.strip())
        if match is None:
            raise Odd(f"{text!r} is not a date")
        try:
            day = datetime.strptime(match["day"], self._format(match["day"])).date()  # noqa: DTZ007 (a market date)
        except ValueError as error:
            raise Odd(f"{text!r} is not a date") from error
        return day, match["time"], match["zone"]

    def _format(self, day: str) -> str:
        if "/" not in day:
            return {8: "%Y%m%d", 9: "%d-%b-%y"}.get(len(day), "%Y-%m-%d")
        if self.day_first is None:
            raise IncompleteQuery("The dates of your Flex query can be read two ways. Set its date format to yyyyMMdd.")
        year = "%Y" if len(day) == len("01/02/2026") else "%y"
        return f"%d/%m/{year}" if self.day_first else f"%m/%d/{year}"


@dataclass(frozen=True, slots=True)
class Row:
    section: str
    tag: str
    told: Mapping[str, str]
    dates: Dates
    line: int = 0  # of the document, from 1, where the row stands

    def text(self, name: str) -> str:
        """The attribute, "" when it says nothing. Raises IncompleteQuery when the query leaves it out."""
        if name not in self.told:
            raise lacking(self.section, name)
        return self.maybe(name)

    def maybe(self, name: str) -> str:
        value = self.told.get(name, "").strip()
        return "" if value in NOTHING else value

    def number(self, name: str) -> Decimal:
        value = _number(self.text(name))
        if value is None:
            raise Odd(f"{name} is empty")
        return value

    def maybe_number(self, name: str) -> Decimal | None:
        return _number(self.maybe(name))

    def first(self, *names: str) -> str:
        """The first of these dates that is given. Raises IncompleteQuery when the query leaves all of them out."""
        if not any(name in self.told for name in names):
            raise lacking(self.section, names[0])
        found = next((self.maybe(name) for name in names if self.maybe(name)), "")
        if not found:
            raise Odd("it has no date")
        return found

    @property
    def is_summary(self) -> bool:
        """Restates other rows: of one level above, or of several accounts together."""
        return self.told.get("levelOfDetail") == "SUMMARY" or self.told.get("accountId") == "-"


def _number(text: str) -> Decimal | None:
    if not text:
        return None
    try:
        value = Decimal(text.replace(",", ""))
    except InvalidOperation as error:
        raise Odd(f"{text!r} is not a number") from error
    if not value.is_finite():
        raise Odd(f"{text!r} is not a number")
    return value


@dataclass(frozen=True, slots=True)
class Statement:
    """One account over one period, both ends included."""

    account_id: str
    first: date
    last: date
    info: Row | None
    sections: Mapping[str, tuple[Row, ...]] = field(repr=False)

    def rows(self, section: str) -> tuple[Row, ...]:
        """Raises IncompleteQuery when the query leaves the section out; an empty section is no rows."""
        if section not in self.sections:
            raise lacking(section)
        return self.sections[section]

    def details(self, section: str) -> tuple[Row, ...]:
        """The rows of the finest level; the summaries that may stand beside them would count everything twice."""
        rows = self.rows(section)
        found = tuple(row for row in rows if not row.is_summary)
        if rows and not found:
            raise IncompleteQuery(
                f"Your Flex query gives only summaries in its section {TITLES[section]}. Choose Detail there."
            )
        return found


@dataclass(frozen=True, slots=True)
class Report:
    """The whole answer of a query: one statement per account. `kind` is AF (activity) or TCF (trade confirmations)."""

    kind: str
    statements: tuple[Statement, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Control:
    """An answer that is no statement yet: a reference to fetch one by, or a code that says why not."""

    reference: str
    code: str


def read(text: str, dates: Dates | None = None) -> Report | Control:
    """`dates` is how a person says its days are written, where the document may leave that open.

    Raises ValueError for what is not a whole Flex document, UnexpectedReply for one of an unknown form, IncompleteQuery
    for days that read two ways.
    """
    root, lines = _parse(text)
    if root.tag == "FlexStatementResponse":
        return Control(root.findtext("ReferenceCode", "").strip(), root.findtext("ErrorCode", "").strip())
    if root.tag != "FlexQueryResponse":
        raise ValueError(f"unknown document {root.tag!r}")
    found = root.findall("FlexStatements/FlexStatement")
    count = root.find("FlexStatements")
    if count is None or count.get("count") != str(len(found)):
        raise UnexpectedReply("Interactive Brokers' statement does not hold as many accounts as it says.")
    dates = dates or Dates.of(value for element in root.iter() for value in element.attrib.values())
    try:
        return Report(root.get("type", ""), tuple(_statement(element, dates, lines) for element in found))
    except (KeyError, Odd) as error:
        raise UnexpectedReply("Interactive Brokers' statement does not say whose it is or of when.") from error


class _Numbered(TreeBuilder):
    """Remembers in which line each element begins."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[Element, int] = {}
        self.parser = DefusedXMLParser(target=self)

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        if len(self.lines) == MOST_ELEMENTS:
            raise TooLong(f"more than {MOST_ELEMENTS} elements")
        element = super().start(tag, attrs)
        self.lines[element] = self.parser.parser.CurrentLineNumber
        return element


def _parse(text: str) -> tuple[Element, dict[Element, int]]:
    builder = _Numbered()
    try:
        builder.parser.feed(text)
        return builder.parser.close(), builder.lines
    except (ParseError, DefusedXmlException) as error:
        raise ValueError("not a whole XML document") from error


def _statement(element: Element, dates: Dates, lines: Mapping[Element, int]) -> Statement:
    info = element.find("AccountInformation")
    sections = {
        section.tag: tuple(Row(section.tag, row.tag, dict(row.attrib), dates, lines[row]) for row in section)
        for section in element
        if section.tag != "AccountInformation"
    }
    return Statement(
        account_id=element.attrib["accountId"],
        first=dates.day(element.attrib["fromDate"]),
        last=dates.day(element.attrib["toDate"]),
        info=None if info is None else Row("AccountInformation", info.tag, dict(info.attrib), dates),
        sections=sections,
    )
