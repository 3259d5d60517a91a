"""The sandbox's own time: real time plus an offset that a test may move."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")


class Clock:
    """Time as every broker of the sandbox sees it. It always ticks; only its distance to real time is moved."""

    def __init__(self) -> None:
        self.offset = timedelta(0)

    def now(self) -> datetime:
        """Aware, UTC."""
        return datetime.now(UTC) + self.offset

    def today(self) -> date:
        """The market's date: the day it is in New York."""
        return self.now().astimezone(NEW_YORK).date()

    def advance(self, by: timedelta) -> None:
        self.offset += by

    def set(self, moment: datetime) -> None:
        """Make it `moment` (aware) now; the clock ticks on from there."""
        self.offset = moment - datetime.now(UTC)

    def make_real(self) -> None:
        self.offset = timedelta(0)


@lru_cache(maxsize=10_000)
def at_new_york(day: date, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    """That wall-clock time in New York as an aware UTC instant."""
    local = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=NEW_YORK)
    return local.astimezone(UTC)
