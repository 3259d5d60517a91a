"""The European Central Bank's files of reference rates: where they are, when they come, what stands in them.

Source: https://www.ecb.europa.eu/stats/policy_and_exchange_rates/euro_reference_exchange_rates ("usually updated at
around 16:00 CET every working day, except on TARGET closing days"). Around is no promise: `last_due` waits a little.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from xml.etree.ElementTree import Element, ParseError  # nosec B405  # names for types and building; defusedxml parses
from zoneinfo import ZoneInfo

import holidays
import requests
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from django.conf import settings

from brokerhub.kernel.errors import HubError

LIVE_URL = "https://www.ecb.europa.eu"
FRANKFURT = ZoneInfo("Europe/Berlin")
DUE_AT = time(16, 5)
ONE_DAY = timedelta(days=1)
SATURDAY = 5
TIMEOUT = 30.0  # seconds
MOST_BYTES = 32 * 1024 * 1024  # the whole history has eight million
FIRST_EVER = date(1999, 1, 4)
_CLOSED = holidays.financial_holidays("ECB")  # filled in year by year as it is asked
_RATE = re.compile(r"[0-9]{1,8}(\.[0-9]{1,8})?")
_ENVELOPE = "{http://www.gesmes.org/xml/2002-08-01}Envelope"
_CUBE = "{http://www.ecb.int/vocabulary/2002-08-01/eurofxref}Cube"


class RatesUnreadable(HubError):
    """The file did not come, or is not what it should be; the text says what was odd. Nothing of it is used."""

    status = 502
    code = "rates_unreadable"


class RateFile(StrEnum):
    """Each file has everything of the one before it."""

    DAILY = "eurofxref-daily.xml"
    LAST_90_DAYS = "eurofxref-hist-90d.xml"
    HISTORY = "eurofxref-hist.xml"


@dataclass(frozen=True, slots=True)
class Rate:
    """Units of `currency` for one euro."""

    on: date
    currency: str
    per_euro: Decimal


def address(file: RateFile) -> str:
    site = f"{settings.BROKERS_SANDBOX_URL}/ecb" if settings.BROKERS_SANDBOX_URL else LIVE_URL
    return f"{site}/stats/eurofxref/{file}"


def is_fixing_day(day: date) -> bool:
    """Whether there are rates of that day: neither a weekend nor a TARGET closing day."""
    return day.weekday() < SATURDAY and day not in _CLOSED


def fixing_before(day: date) -> date:
    """`day` itself when it is a fixing day, else the last one before."""
    while not is_fixing_day(day):
        day -= ONE_DAY
    return day


def last_due(now: datetime) -> date:
    """The newest day whose rates must be out at `now` (aware)."""
    local = now.astimezone(FRANKFURT)
    return fixing_before(local.date() if local.time() >= DUE_AT else local.date() - ONE_DAY)


def fetch(file: RateFile) -> bytes:
    """Raises RatesUnreadable."""
    try:
        with requests.get(address(file), timeout=TIMEOUT, stream=True, allow_redirects=False) as answer:
            if answer.status_code != requests.codes.ok:
                raise RatesUnreadable(f"The European Central Bank answered {answer.status_code}.")
            content = bytearray()
            for chunk in answer.iter_content(256 * 1024):
                content += chunk
                if len(content) > MOST_BYTES:
                    raise RatesUnreadable("The file of reference rates is larger than 32 MB.")
    except requests.RequestException as error:
        raise RatesUnreadable("The European Central Bank could not be reached.") from error
    return bytes(content)


def parse(content: bytes, *, today: date) -> list[Rate]:
    """Every rate of a file, each day and currency once. Raises RatesUnreadable for anything that is not as it should
    be: a rate one guesses at is worse than none."""
    try:
        envelope = fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise RatesUnreadable("The file of reference rates is no whole XML document.") from error
    if envelope.tag != _ENVELOPE:
        raise RatesUnreadable("The file of reference rates has another form than the one we know.")
    found: dict[tuple[date, str], Rate] = {}
    for cube in envelope.findall(f"{_CUBE}/{_CUBE}"):
        for rate in _day(cube, today):
            if found.setdefault((rate.on, rate.currency), rate) is not rate:
                raise RatesUnreadable(f"{rate.currency} stands twice at {rate.on}.")
    if not found:
        raise RatesUnreadable("There is no rate in the file of reference rates.")
    return list(found.values())


def _day(cube: Element, today: date) -> Iterator[Rate]:
    text = cube.get("time", "")
    try:
        on = date.fromisoformat(text)
    except ValueError as error:
        raise RatesUnreadable(f"{text!r} is not a date.") from error
    if not FIRST_EVER <= on <= today + ONE_DAY:  # midnight comes to Frankfurt before it comes to us
        raise RatesUnreadable(f"{on} cannot have rates.")
    lines = cube.findall(_CUBE)
    if not lines:
        raise RatesUnreadable(f"{on} has no rates.")
    for line in lines:
        yield Rate(on, _currency(line.get("currency", "")), _number(line.get("rate", "")))


def _currency(text: str) -> str:
    if not (len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()) or text == "EUR":
        raise RatesUnreadable(f"{text!r} is no currency.")
    return text


def _number(text: str) -> Decimal:
    if not _RATE.fullmatch(text) or Decimal(text) == 0:
        raise RatesUnreadable(f"{text!r} is not a rate.")
    return Decimal(text)
