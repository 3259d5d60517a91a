"""When a trade on a US exchange settles, for brokers that do not say.

Sources: SEC rule 15c6-1 (one business day since 2024-05-28, two before); FINRA's yearly notices: on Columbus Day and
Veterans Day the exchanges are open and nothing settles, because banks are closed.
"""

from datetime import date, timedelta
from functools import cache

import holidays

from connections.brokers.records import AssetClass

ONE_DAY = timedelta(days=1)
T_PLUS_ONE_SINCE = date(2024, 5, 28)
SATURDAY = 5
OCTOBER, NOVEMBER, VETERANS_DAY = 10, 11, 11


@cache
def _exchange_holidays(year: int) -> frozenset[date]:
    return frozenset(holidays.financial_holidays("NYSE", years=year))


def _is_bank_holiday(day: date) -> bool:
    columbus_day = day.month == OCTOBER and day.weekday() == 0 and 8 <= day.day <= 14  # the second Monday
    return columbus_day or (day.month, day.day) == (NOVEMBER, VETERANS_DAY)


def settles(day: date) -> bool:
    return day.weekday() < SATURDAY and day not in _exchange_holidays(day.year) and not _is_bank_holiday(day)


def us_settlement_date(traded_on: date, asset_class: AssetClass) -> date | None:
    """The regular-way settlement date of a trade in New York; None for kinds that differ from product to product."""
    if asset_class not in {AssetClass.EQUITY, AssetClass.ETF, AssetClass.OPTION}:
        return None
    next_day = asset_class is AssetClass.OPTION or traded_on >= T_PLUS_ONE_SINCE
    day = traded_on
    for _ in range(1 if next_day else 2):
        day += ONE_DAY
        while not settles(day):
            day += ONE_DAY
    return day
