"""The daily fixing: which days have one, and what it says. Dollars, pounds and francs are the market's own.

Source of the days: the calendar of TARGET (European Central Bank, press release of 14 December 2000): closed on
Saturdays and Sundays, New Year's Day, Good Friday, Easter Monday, 1 May, 25 and 26 December.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from random import Random
from zoneinfo import ZoneInfo

from dateutil.easter import easter

from connections.sandbox.market import OPENING_DAY, Market
from connections.sandbox.trading_days import ONE_DAY, SATURDAY

FRANKFURT = ZoneInfo("Europe/Berlin")
PUBLISHED_AT = time(16)
OF_THE_MARKET = ("USD", "GBP", "CHF")
# What one euro cost when the sandbox's market opened, in the order of the file and with as many digits.
STARTS = {
    "USD": "0.0000", "JPY": "129.70", "CZK": "25.257", "DKK": "7.4372", "GBP": "0.00000", "HUF": "366.11",
    "PLN": "4.6489", "RON": "4.9498", "SEK": "10.0118", "CHF": "0.0000", "ISK": "150.60", "NOK": "9.9653",
    "TRY": "11.4731", "AUD": "1.5581", "BRL": "6.2513", "CAD": "1.4323", "CNY": "7.3047", "HKD": "8.9173",
    "IDR": "16270.08", "ILS": "3.5606", "INR": "85.2120", "KRW": "1350.31", "MXN": "23.4637", "MYR": "4.7680",
    "NZD": "1.6236", "PHP": "57.138", "SGD": "1.5484", "THB": "37.476", "ZAR": "17.4434",
}  # fmt: skip
SWING = 0.004  # of a day


def is_fixing_day(day: date) -> bool:
    return day.weekday() < SATURDAY and day not in _closed(day.year)


@cache
def _closed(year: int) -> frozenset[date]:
    sunday = easter(year)
    fixed = {date(year, 1, 1), date(year, 5, 1), date(year, 12, 25), date(year, 12, 26)}
    return frozenset(fixed | {sunday - timedelta(days=2), sunday + ONE_DAY})


def last_published(now: datetime) -> date:
    """The day of the newest fixing at `now` (aware)."""
    local = now.astimezone(FRANKFURT)
    day = local.date() if local.time() >= PUBLISHED_AT else local.date() - ONE_DAY
    while not is_fixing_day(day):
        day -= ONE_DAY
    return day


def days(first: date, last: date) -> Iterator[date]:
    """Fixing days, newest first, none before the market's opening day."""
    day = last
    while day >= max(first, OPENING_DAY):
        if is_fixing_day(day):
            yield day
        day -= ONE_DAY


def rates(market: Market, day: date) -> Iterator[tuple[str, Decimal]]:
    """Units of each currency for one euro."""
    for currency, start in STARTS.items():
        step = Decimal(1).scaleb(Decimal(start).as_tuple().exponent)  # type: ignore[arg-type]  # a finite number
        rate = market.rate("EUR", currency, day) if currency in OF_THE_MARKET else _walk(currency, day)
        yield currency, rate.quantize(step)


@cache
def _walk(currency: str, day: date) -> Decimal:
    """A few percent around its start, by its own seed, the same for ever; no two days need each other."""
    number = (day - OPENING_DAY).days
    noise = Random(f"ecb:{currency}:{day}").gauss(0, SWING)  # nosec B311  # a seeded story, nothing secret
    slow = Random(f"ecb:{currency}:{number // 90}").gauss(0, 5 * SWING)  # nosec B311  # a seeded story, nothing secret
    return Decimal(STARTS[currency]) * Decimal(str(round(1 + slow + noise, 6)))
