"""Dates and times as exports print them."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo

MONTH_FIRST, DAY_FIRST, YEAR_FIRST = "mdy", "dmy", "ymd"
ORDERS = (MONTH_FIRST, DAY_FIRST, YEAR_FIRST)
EXAMPLES = {MONTH_FIRST: "12/31/2025", DAY_FIRST: "31/12/2025", YEAR_FIRST: "2025-12-31"}
_AS_OF = re.compile(r"\s+as of\s+", re.I)
_DATE = re.compile(r"(\d{1,4}|[A-Za-z]{3,9})[/.\- ]{1,2}(\d{1,3}|[A-Za-z]{3,9})[/.\-, ]{1,2}(\d{4}|\d\d)", re.ASCII)
_YEAR_FIRST = re.compile(r"(\d{4})([/.-]?)(\d\d?)\2(\d\d?)", re.ASCII)
_TIME = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?\s*([AaPp]\.?[Mm]\.?)?", re.ASCII)
_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, start=1)}
_MONTHS |= {"mrt": 3, "mei": 5, "mai": 5, "okt": 10, "dez": 12}  # Dutch and German, where they differ
_ZONES = {
    **dict.fromkeys(("z", "utc", "gmt", "+00:00", "+0000"), ZoneInfo("UTC")),
    **dict.fromkeys(("est", "edt", "et"), ZoneInfo("America/New_York")),
    **dict.fromkeys(("cst", "cdt", "ct"), ZoneInfo("America/Chicago")),
    **dict.fromkeys(("pst", "pdt", "pt"), ZoneInfo("America/Los_Angeles")),
}


@lru_cache(maxsize=8192)  # a file has many rows a day
def parse_date(text: str, order: str = MONTH_FIRST) -> date:
    """The date at the beginning of `text`, a time behind it ignored. Raises ValueError, a phrase for people.

    A year of four digits that stands first is that in every order; months may be named in English. Two digits of a
    year are what spreadsheets leave of it.
    """
    bare = split_moment(text)[0]
    found = _YEAR_FIRST.fullmatch(bare)
    try:
        if found:
            return date(int(found[1]), int(found[3]), int(found[4]))
        parts = _DATE.fullmatch(bare)
        if parts and order != YEAR_FIRST:
            first, second, year = parts.groups()
            named = first[0].isalpha()
            month, day = (first, second) if named or (order == MONTH_FIRST and second.isdigit()) else (second, first)
            return date(_year(year), _month(month), int(day))
    except (ValueError, KeyError):
        pass  # said below, in the same words
    raise ValueError(f"“{text.strip()[:40]}” is not a date like {EXAMPLES[order]}")


@lru_cache(maxsize=8192)
def parse_as_of(text: str) -> tuple[date, date]:
    """Posting and effective date of `MM/DD/YYYY as of MM/DD/YYYY`; without "as of" the same. Raises ValueError."""
    posted, *effective = _AS_OF.split(text.strip(), maxsplit=1)
    first = parse_date(posted)
    return first, parse_date(effective[0]) if effective else first


def split_moment(text: str) -> tuple[str, str]:
    """The day and the time of `2024-01-31T08:05:04.123Z` and of `01/31/2024 08:05:04 EDT`; the time may be ""."""
    bare = text.strip()
    clock = re.search(r"(?:(?<=\d)T|[\s,;]+)(?=\d{1,2}:\d\d)", bare)
    return (bare[: clock.start()], bare[clock.end() :]) if clock else (bare, "")


def parse_moment(text: str, order: str = MONTH_FIRST, zone: ZoneInfo | None = None) -> datetime | None:
    """The moment in UTC, its zone as written or else `zone`; None when there is no time or nobody says whose it is.

    Raises ValueError, a phrase for people.
    """
    day, clock = split_moment(text)
    on = parse_date(day, order)
    if not clock:
        return None
    found = _TIME.match(clock)
    written = clock[found.end() :].strip().casefold() if found else ""
    offset = re.fullmatch(r"([+-]\d\d):?(\d\d)", written)
    try:
        if found is None or (written and written not in _ZONES and not offset):
            raise ValueError
        hour = int(found[1]) % 12 + (12 if found[5][0] in "Pp" else 0) if found[5] else int(found[1])
        at = time(hour, int(found[2]), int(found[3] or 0), int((found[4] or "0")[:6].ljust(6, "0")))
    except ValueError:
        raise ValueError(f"“{text.strip()[:40]}” has no time like 14:05:00") from None
    if offset and written not in _ZONES:
        return datetime.fromisoformat(f"{on}T{at}{offset[1]}:{offset[2]}").astimezone(UTC)
    where = _ZONES.get(written, zone)
    return None if where is None else datetime.combine(on, at, where).astimezone(UTC)


def order_of(cells: Iterable[str]) -> tuple[str | None, tuple[str, ...]]:
    """Whether day or month comes first in a file, told by its dates: one number over 12 decides.

    None, with the first dates, when none can tell or they tell different things.
    """
    told: dict[str, str] = {}  # each order with the first date that says so
    unclear: dict[str, None] = {}
    for cell in dict.fromkeys(cells):
        bare = split_moment(cell)[0]
        parts = _DATE.fullmatch(bare)
        if _YEAR_FIRST.fullmatch(bare) or parts is None or not (parts[1].isdigit() and parts[2].isdigit()):
            continue
        first, second = int(parts[1]), int(parts[2])
        if first > 12 >= second:
            told.setdefault(DAY_FIRST, bare)
        elif second > 12 >= first:
            told.setdefault(MONTH_FIRST, bare)
        elif first != second:
            unclear[bare] = None
    if len(told) == 1:
        return next(iter(told)), ()
    if told or unclear:
        return None, (*told.values(), *unclear)[:3]
    return MONTH_FIRST, ()


def _year(text: str) -> int:
    year = int(text)
    return year if len(text) == 4 else year + (2000 if year < 69 else 1900)


def _month(text: str) -> int:
    return int(text) if text.isdigit() else _MONTHS[text[:3].casefold()]
