"""What Robinhood says of prices gone by: the same bars from its official tool and from its app's API. Pure.

A day's bar begins at midnight UTC of that very day. Robinhood fills days without trading in with the price before, and
says so: such a bar is no close. Closes know of later splits when that is asked for, and never of dividends.
Sources: recorded answers of the tool in public projects (2026-07 to 2026-11), robin_stocks 3.4.0.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal

from connections.brokers import robinhood_rows
from connections.brokers.records import PriceRecord
from connections.brokers.robinhood_rows import Row

SPANS = {  # of the app's API, which knows no first day; of a day's bars only these two are told for certain
    "year": timedelta(days=358),
    "5year": timedelta(days=5 * 365 - 7),
}
LONGEST = SPANS["5year"]


def span(since: date, today: date) -> str:
    """The shortest that surely reaches back to `since`, else the longest."""
    return next((name for name, reach in SPANS.items() if today - since <= reach), "5year")


def closes(bars: Iterable[Row], *, since: date, until: date) -> list[PriceRecord]:
    """Of the days `since`..`until`, oldest first. Raises KeyError, TypeError or ValueError for bars of another form."""
    found: dict[date, Decimal] = {}
    for bar in bars:
        on, close = date.fromisoformat(bar["begins_at"][:10]), robinhood_rows.number(bar["close_price"])
        if close <= 0:
            raise ValueError("a close is no price")
        if since <= on <= until and not bar.get("interpolated"):
            found[on] = close
    return [PriceRecord(on=on, close=found[on]) for on in sorted(found)]
