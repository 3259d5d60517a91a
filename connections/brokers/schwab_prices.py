"""What Schwab's price history says. Pure.

A day's candle carries the moment at which its day begins in Chicago, in milliseconds since 1970; in New York that is
the same day.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from connections.brokers.records import PriceRecord

NEW_YORK = ZoneInfo("America/New_York")


def prices(answer: Mapping[str, Any], *, since: date, until: date) -> list[PriceRecord]:
    """Closes of the days asked for, oldest first. `empty` says that there are none for this symbol.

    Raises KeyError, TypeError or ValueError for an answer of another form.
    """
    found: dict[date, Decimal] = {}
    for candle in answer["candles"]:
        on = datetime.fromtimestamp(int(candle["datetime"]) / 1000, UTC).astimezone(NEW_YORK).date()
        close = Decimal(str(candle["close"]))
        if not close.is_finite() or close <= 0:
            raise ValueError("a close is no price")
        if since <= on <= until:
            found[on] = close
    if not found and answer.get("empty") is not True and not answer["candles"]:
        raise ValueError("no candles, and nothing that says so")
    return [PriceRecord(on=on, close=found[on]) for on in sorted(found)]
