"""Days on which New York trades, and when a trade of a day settles.

Source of the holidays: NYSE rule 7.2 and its published calendars; of settlement: SEC rule 15c6-1 (T+1 since
2024-05-28).
"""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache

ONE_DAY = timedelta(days=1)
T_PLUS_ONE_SINCE = date(2024, 5, 28)
JUNETEENTH_SINCE = 2022
DAYS_OF_MOURNING = {2025: [date(2025, 1, 9)]}  # for a former president
MONDAY, THURSDAY, SATURDAY, SUNDAY = 0, 3, 5, 6


def is_open(day: date) -> bool:
    return day.weekday() < SATURDAY and day not in holidays(day.year)


def next_open(day: date) -> date:
    """`day` itself when the market is open on it, else the next open day."""
    while not is_open(day):
        day += ONE_DAY
    return day


def last_open(day: date) -> date:
    """`day` itself when the market is open on it, else the last open day before it."""
    while not is_open(day):
        day -= ONE_DAY
    return day


def open_days(first: date, last: date) -> Iterator[date]:
    """Every open day from `first` to `last`, both included."""
    day = first
    while day <= last:
        if is_open(day):
            yield day
        day += ONE_DAY


def settlement(traded_on: date, *, next_day: bool = False) -> date:
    """One day after the trade, two before 2024-05-28 unless `next_day` (options, government bonds, funds)."""
    days = 1 if next_day or traded_on >= T_PLUS_ONE_SINCE else 2
    day = traded_on
    for _ in range(days):
        day = next_open(day + ONE_DAY)
        while day in _banks_only(day.year):
            day = next_open(day + ONE_DAY)
    return day


@cache
def _banks_only(year: int) -> frozenset[date]:
    """Columbus Day and Veterans Day: the exchange trades, the banks are closed, nothing settles."""
    return frozenset([_nth_weekday(year, 10, MONDAY, 2), date(year, 11, 11)])


def third_friday(year: int, month: int) -> date:
    """The day monthly options expire; the Thursday before when that Friday is a holiday."""
    return last_open(_nth_weekday(year, month, weekday=4, nth=3))


@cache
def holidays(year: int) -> frozenset[date]:
    fixed = [date(year, 7, 4), date(year, 12, 25)]
    if year >= JUNETEENTH_SINCE:
        fixed.append(date(year, 6, 19))
    new_year = date(year, 1, 1)
    if new_year.weekday() != SATURDAY:  # on a Saturday the exchange keeps no substitute day
        fixed.append(new_year)
    floating = [
        _nth_weekday(year, 1, MONDAY, 3),
        _nth_weekday(year, 2, MONDAY, 3),
        _easter(year) - timedelta(days=2),
        _last_monday_of_may(year),
        _nth_weekday(year, 9, MONDAY, 1),
        _nth_weekday(year, 11, THURSDAY, 4),
    ]
    return frozenset([*map(_observed, fixed), *floating, *DAYS_OF_MOURNING.get(year, [])])


def _observed(day: date) -> date:
    if day.weekday() == SATURDAY:
        return day - ONE_DAY
    return day + ONE_DAY if day.weekday() == SUNDAY else day


def _nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (nth - 1))


def _last_monday_of_may(year: int) -> date:
    last = date(year, 5, 31)
    return last - timedelta(days=last.weekday())


def _easter(year: int) -> date:
    """Easter Sunday by the anonymous Gregorian algorithm (Nature, 1876)."""
    century, of_century = divmod(year, 100)
    golden = year % 19
    skipped, leap = divmod(century, 4)
    correction = (century - (century + 8) // 25 + 1) // 3
    moon = (19 * golden + century - skipped - correction + 15) % 30
    weekday = (32 + 2 * leap + 2 * (of_century // 4) - moon - of_century % 4) % 7
    shift = (golden + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * shift + 114, 31)
    return date(year, month, day + 1)
