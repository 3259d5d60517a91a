"""Rule 606(a)(1) reports: where a broker sent its customers' orders, and what it was paid or paid for them.

One file a quarter, a part for each month, three sections: S&P 500 stocks, other stocks, options. Form and meaning as in
the SEC's schema oh-20191231.xsd (github.com/sec-gov/oh). Amounts are positive when the broker received money, negative
when it paid. An empty number is "not meaningful" and becomes None. Nothing here touches the database.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from xml.etree.ElementTree import Element, ParseError, TreeBuilder  # nosec B405  # names for types and building; defusedxml parses

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser
from django.db.models import TextChoices

from comparison.report_files import FileRefused, Problem, ReportFile, refuse

MOST_BYTES = 5 * 1024 * 1024
MOST_ELEMENTS = 200_000
DEEPEST = 12
ROOT = "heldOrderRoutingPublicReport"
OTHER_ROOTS = {
    "heldExemptNotHeldOrderRoutingCustomerReport": "a report for one customer by Rule 606(b)(1)",
    "notHeldOrderHandlingCustomerReport": "a report for one customer by Rule 606(b)(3)",
}
VERSIONS = {"1.2", "1.3"}
HUNDRED = Decimal(100)
ABOUT_HUNDRED = Decimal("0.1")  # percentages are rounded to two places


class Section(TextChoices):
    SP500 = "sp500", "S&P 500 stocks"
    OTHER_STOCKS = "other_stocks", "Other stocks"
    OPTIONS = "options", "Options"


class OrderKind(TextChoices):
    MARKET = "market", "Market orders"
    MARKETABLE_LIMIT = "marketable_limit", "Limit orders, marketable"
    NON_MARKETABLE_LIMIT = "non_marketable_limit", "Limit orders, not marketable"
    OTHER = "other", "Other orders"


SECTIONS = {"rSP500": Section.SP500, "rOtherStocks": Section.OTHER_STOCKS, "rOptions": Section.OPTIONS}
MIX = dict(zip(OrderKind, ("Market", "MarketableLimit", "NonmarketableLimit", "Other"), strict=True))
ROUTED = dict(zip(OrderKind, ("market", "marketableLimit", "nonMarketableLimit", "other"), strict=True))
PAID = dict(zip(OrderKind, ("Market", "MarketableLimit", "NonMarketableLimit", "Other"), strict=True))

Shape = Sequence[tuple[str, int, int]]  # element, how often at least, how often at most; in this order
REPORT_SHAPE: Shape = (
    ("version", 1, 1), ("bd", 1, 1), ("year", 1, 1), ("qtr", 1, 1), ("timestamp", 0, 1), ("rMonthly", 1, 3),
)  # fmt: skip
MONTH_SHAPE: Shape = (("year", 1, 1), ("mon", 1, 1), *((name, 0, 1) for name in SECTIONS))
SECTION_SHAPE: Shape = (("ndoPct", 1, 1), *((f"ndo{name}Pct", 1, 1) for name in MIX.values()), ("rVenues", 1, 1))
PAYMENTS = tuple(f"netPmtPaidRecv{name}Orders{unit}" for name in PAID.values() for unit in ("Usd", "Cph"))
VENUE_SHAPE: Shape = (
    ("name", 0, 1), ("mic", 0, 1), ("mpid", 0, 1), ("orderPct", 1, 1),
    *((f"{name}Pct", 1, 1) for name in ROUTED.values()), *((name, 1, 1) for name in PAYMENTS),
    ("materialAspects", 1, 1),
)  # fmt: skip

_PERCENT = re.compile(r"[0-9]*\.[0-9]{2,}")
_CENTS = re.compile(r"-?[0-9]*\.[0-9]{4,}")
_DOLLARS = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_CODE = re.compile(r"[A-Z0-9]{4}")
_MPID = re.compile(r"[A-Z0-9]{4,5}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
LONGEST_NUMBER = 30
LONGEST_NAME = 80
LONGEST_TEXT = 20_000
ALIASES = {"janest": "janestreetcapital", "janestreetcapitalllc": "janestreetcapital"}


@dataclass(frozen=True, slots=True)
class Venue:
    """One place orders went to. `routed` is the share of each kind of order in percent, `usd` the net amount of the
    month, `cents` the rate in cents per 100 shares (options: per contract). None: not meaningful."""

    name: str
    mic: str
    mpid: str
    order_pct: Decimal | None
    routed: Mapping[OrderKind, Decimal | None]
    usd: Mapping[OrderKind, Decimal | None]
    cents: Mapping[OrderKind, Decimal | None]
    material_aspects: str = field(repr=False)

    @property
    def key(self) -> str:
        """The same for one venue in everybody's reports."""
        return self.mic or self.mpid or plain_name(self.name)


@dataclass(frozen=True, slots=True)
class SectionOfMonth:
    """`non_directed_pct` of all orders were left to the broker to route; `mix` divides those, in percent."""

    month_on: date  # its first day
    section: Section
    non_directed_pct: Decimal | None
    mix: Mapping[OrderKind, Decimal | None]
    venues: tuple[Venue, ...]


@dataclass(frozen=True, slots=True)
class RoutingFile:
    publisher: str
    year: int
    quarter: int
    version: str
    generated_at: datetime | None
    sections: tuple[SectionOfMonth, ...]
    warnings: tuple[str, ...]


def plain_name(name: str) -> str:
    """A name without case, blanks and punctuation, in the one spelling of those who are known by several."""
    plain = "".join(letter for letter in name.casefold() if letter.isalnum())
    return ALIASES.get(plain, plain)


def weighted_rate(payments: Iterable[tuple[Decimal | None, Decimal | None]]) -> Decimal | None:
    """Cents per 100 shares over several venues, each a pair of dollars and cents per 100 shares.

    Dollars and rate give how many hundreds of shares there were, which no field says. A venue without a rate, or whose
    signs contradict each other, says nothing about them and is left out. None when no venue is left.
    """
    usd, hundreds = Decimal(0), Decimal(0)
    for dollars, cents in payments:
        if dollars and cents and (dollars > 0) == (cents > 0):
            usd += dollars
            hundreds += dollars * HUNDRED / cents
    return usd * HUNDRED / hundreds if hundreds else None


def parse(file: ReportFile) -> RoutingFile:
    """Raises FileRefused, with every problem found, for what is not a whole and valid report."""
    root, lines = _document(file)
    if root.tag != ROOT:
        what = OTHER_ROOTS.get(root.tag, "no report by Rule 606(a)(1)")
        raise FileRefused(f"{file.name} is {what}. Import the broker's public report, whose root is {ROOT}.")
    reader = _Reader(lines)
    found = reader.report(root)
    refuse(f"{file.name} was not imported: it does not follow the SEC's schema.", reader.problems)
    return found


class _Numbered(TreeBuilder):
    """Remembers in which line each element begins, and stops at what no report needs."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[Element, int] = {}
        self.depth = 0
        self.parser = DefusedXMLParser(target=self, forbid_dtd=True)

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        self.depth += 1
        if self.depth > DEEPEST or len(self.lines) == MOST_ELEMENTS:
            raise ValueError("more elements, or deeper ones, than a report has")
        element = super().start(tag, attrs)
        self.lines[element] = self.parser.parser.CurrentLineNumber
        return element

    def end(self, tag: str, /) -> Element:
        self.depth -= 1
        return super().end(tag)


def _document(file: ReportFile) -> tuple[Element, dict[Element, int]]:
    builder = _Numbered()
    try:
        builder.parser.feed(file.content)
        return builder.parser.close(), builder.lines
    except DefusedXmlException as error:
        raise FileRefused(f"{file.name} declares a document type or entities, which no report needs.") from error
    except (ParseError, ValueError, LookupError) as error:  # LookupError: an encoding nobody knows
        raise FileRefused(f"{file.name} is not a whole XML document.") from error


class _Reader:
    """Reads the tree and collects what is wrong with it; a value that is wrong becomes None on the way."""

    def __init__(self, lines: Mapping[Element, int]) -> None:
        self.lines = lines
        self.problems: list[Problem] = []
        self.warnings: list[str] = []

    def wrong(self, element: Element, text: str, place: str = "") -> None:
        self.problems.append(Problem(self.lines[element], place or element.tag, text))

    def parts(self, element: Element, shape: Shape) -> dict[str, list[Element]]:
        """The children by name; missing, repeated, misplaced and unknown ones are told."""
        children, at = list(element), 0
        found: dict[str, list[Element]] = {}
        for name, least, most in shape:
            found[name] = []
            while at < len(children) and children[at].tag == name and len(found[name]) < most:
                found[name].append(children[at])
                at += 1
            if len(found[name]) < least:
                self.wrong(element, f"{name} is missing, or stands in another place than the schema says.")
        if at < len(children):
            self.wrong(children[at], "is not expected here.")
        return found

    def text(self, parts: Mapping[str, list[Element]], name: str, *, longest: int = LONGEST_NAME) -> str:
        """The text of a part with its blanks made single; "" when the part is not there."""
        for element in parts[name]:
            text = " ".join("".join(element.itertext()).split())
            if len(element):
                self.wrong(element, "holds other elements instead of a text.")
            elif len(text) > longest:
                self.wrong(element, f"is longer than {longest} characters.")
            else:
                return text
        return ""

    def matching(self, parts: Mapping[str, list[Element]], name: str, pattern: re.Pattern[str], what: str) -> str:
        text = self.text(parts, name)
        if text and not pattern.fullmatch(text):
            self.wrong(parts[name][0], f"{text!r} is not {what}.")
            return ""
        return text

    def number(
        self, parts: Mapping[str, list[Element]], name: str, pattern: re.Pattern[str], what: str
    ) -> Decimal | None:
        text = self.text(parts, name)
        if not text:
            return None
        if len(text) > LONGEST_NUMBER or not pattern.fullmatch(text):
            self.wrong(parts[name][0], f"{text[:LONGEST_NUMBER]!r} is not {what}.")
            return None
        return Decimal(text)

    def percent(self, parts: Mapping[str, list[Element]], name: str) -> Decimal | None:
        what = "a percentage from 0.00 to 100.00 with at least two decimals"
        value = self.number(parts, name, _PERCENT, what)
        if value is not None and value > HUNDRED:
            self.wrong(parts[name][0], f"'{value}' is not {what}.")
            return None
        return value

    def whole(self, parts: Mapping[str, list[Element]], name: str, least: int, most: int) -> int:
        text = self.text(parts, name)
        if text.isascii() and text.isdigit() and len(text) < 9 and least <= int(text) <= most:
            return int(text)
        if parts[name]:
            self.wrong(parts[name][0], f"{text[:LONGEST_NUMBER]!r} is not a whole number from {least} to {most}.")
        return 0

    # --- From the root down -------------------------------------------------------------------------------------------
    def report(self, root: Element) -> RoutingFile:
        parts = self.parts(root, REPORT_SHAPE)
        version = self.text(parts, "version")
        if parts["version"] and version not in VERSIONS:
            self.wrong(parts["version"][0], f"{version!r} is a version of the schema that the hub does not know.")
        publisher = self.text(parts, "bd")
        if parts["bd"] and not publisher:
            self.wrong(parts["bd"][0], "the broker-dealer has no name.")
        year, quarter = self.whole(parts, "year", 2000, 2099), self.whole(parts, "qtr", 1, 4)
        sections: list[SectionOfMonth] = []
        seen: set[date] = set()
        for element in parts["rMonthly"]:
            sections += self.month(element, year, quarter, seen)
        if year and quarter and len(seen) < 3:
            self.warnings.append(f"The report has {len(seen)} of the quarter's 3 months.")
        if not sections:
            self.warnings.append("The report has no section: it says that there was nothing to report.")
        return RoutingFile(
            publisher, year, quarter, version, self.moment(parts), tuple(sections), tuple(dict.fromkeys(self.warnings))
        )

    def moment(self, parts: Mapping[str, list[Element]]) -> datetime | None:
        text = self.text(parts, "timestamp")
        if not text:
            return None
        try:
            if not _MOMENT.fullmatch(text):
                raise ValueError(text)
            return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:
            self.wrong(parts["timestamp"][0], f"{text[:LONGEST_NUMBER]!r} is not a moment in UTC.")
            return None

    def month(self, element: Element, year: int, quarter: int, seen: set[date]) -> list[SectionOfMonth]:
        parts = self.parts(element, MONTH_SHAPE)
        own_year, month = self.whole(parts, "year", 2000, 2099), self.whole(parts, "mon", 1, 12)
        month_on = date(own_year or 2000, month or 1, 1)
        if own_year and month:
            if year and quarter and (own_year, (month + 2) // 3) != (year, quarter):
                self.wrong(element, f"{month_on:%B %Y} is not in quarter {quarter} of {year}.")
            if month_on in seen:
                self.wrong(element, f"{month_on:%B %Y} is told twice.")
            seen.add(month_on)
        return [self.section(found, month_on, section) for name, section in SECTIONS.items() for found in parts[name]]

    def section(self, element: Element, month_on: date, section: Section) -> SectionOfMonth:
        parts = self.parts(element, SECTION_SHAPE)
        mix = {kind: self.percent(parts, f"ndo{name}Pct") for kind, name in MIX.items()}
        venues = [
            self.venue(found)
            for holder in parts["rVenues"]
            for found in self.parts(holder, (("rVenue", 0, MOST_ELEMENTS),))["rVenue"]
        ]
        where = f"{section.label}, {month_on:%B %Y}"
        self.check_once(element, venues)
        known = [share for share in mix.values() if share is not None]
        if known and any(known) and abs(sum(known) - HUNDRED) > ABOUT_HUNDRED:
            self.warnings.append(f"{where}: the kinds of orders add up to {sum(known)} %, not 100 %.")
        routed = sum(venue.order_pct or Decimal(0) for venue in venues)
        if routed > HUNDRED + ABOUT_HUNDRED:
            self.warnings.append(f"{where}: the venues add up to {routed} % of the orders.")
        return SectionOfMonth(month_on, section, self.percent(parts, "ndoPct"), mix, tuple(venues))

    def check_once(self, element: Element, venues: Sequence[Venue]) -> None:
        names, codes = set(), set()
        for venue in venues:
            if (venue.name, venue.mic) in names or (venue.mic and venue.mic in codes):
                self.wrong(element, f"the venue {venue.name or venue.mic} is told twice.")
            names.add((venue.name, venue.mic))
            codes.add(venue.mic)

    def venue(self, element: Element) -> Venue:
        parts = self.parts(element, VENUE_SHAPE)
        known = len(self.problems)
        name = self.text(parts, "name")
        mic = self.matching(parts, "mic", _CODE, "a market's code (MIC): four capital letters or digits")
        if not name and not mic and len(self.problems) == known:
            self.wrong(element, "the venue has neither a name nor a MIC.")
        dollars = {kind: f"netPmtPaidRecv{word}OrdersUsd" for kind, word in PAID.items()}
        cents = {kind: f"netPmtPaidRecv{word}OrdersCph" for kind, word in PAID.items()}
        return Venue(
            name=name,
            mic=mic,
            mpid=self.matching(parts, "mpid", _MPID, "a participant's code (MPID)"),
            order_pct=self.percent(parts, "orderPct"),
            routed={kind: self.percent(parts, f"{word}Pct") for kind, word in ROUTED.items()},
            usd={kind: self.number(parts, tag, _DOLLARS, "an amount in dollars") for kind, tag in dollars.items()},
            cents={
                kind: self.number(parts, tag, _CENTS, "a rate with at least four decimals")
                for kind, tag in cents.items()
            },
            material_aspects=self.text(parts, "materialAspects", longest=LONGEST_TEXT),
        )
