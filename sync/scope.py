"""What a run is to read: which account, which days, and whether to compare. Pure; two wishes make one."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Self

from sync.models import Mode, SyncRun

MARGIN = timedelta(days=7)  # a comparison reads so far around its days: a broker may file a row by another of its dates
_RANKS = (Mode.RANGE, Mode.INCREMENTAL, Mode.INITIAL, Mode.BACKFILL, Mode.REPAIR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """`account_id` None: all. `from_on` None: from where the mode begins. `to_on` None: to this day."""

    mode: Mode
    account_id: int | None = None
    from_on: date | None = None
    to_on: date | None = None

    @classmethod
    def of(cls, run: SyncRun) -> Self:
        return cls(mode=Mode(run.mode), account_id=run.account_id, from_on=run.from_on, to_on=run.to_on)

    @property
    def reads_all(self) -> bool:
        """From as far back as the broker goes."""
        return self.mode in (Mode.INITIAL, Mode.BACKFILL, Mode.REPAIR) and self.from_on is None

    @property
    def follows_cursor(self) -> bool:
        """Whether it reads what is new since the last time, whatever else."""
        return self.to_on is None and not self.reads_all

    @property
    def compares(self) -> bool:
        return self.mode == Mode.REPAIR

    def first_day(self, *, earliest: date, by_cursor: date) -> date:
        """`earliest` is how far the broker goes back, `by_cursor` where a mere update of the account begins."""
        if self.mode == Mode.INITIAL or (self.mode == Mode.INCREMENTAL and self.from_on is None):
            return by_cursor
        if self.from_on is None:
            return earliest
        asked = self.from_on - MARGIN if self.compares else self.from_on
        return max(earliest, asked if self.to_on else min(asked, by_cursor))

    def last_day(self, today: date) -> date:
        if self.to_on is None:
            return today
        return min(today, self.to_on + MARGIN if self.compares else self.to_on)

    def covers(self, other: "Scope") -> bool:
        return self.joined(other) == self

    def joined(self, other: "Scope") -> "Scope":
        """The least that reads what either of them would."""
        account_id = self.account_id if self.account_id == other.account_id else None
        mode = max(self.mode, other.mode, key=_RANKS.index)
        if self.mode == Mode.INITIAL and not other.compares and self.account_id in (None, other.account_id):
            return self  # a first sync reads everything there is
        to_on = max(self.to_on, other.to_on) if self.to_on and other.to_on else None
        if self.reads_all or other.reads_all:
            mode = max(mode, Mode.BACKFILL, key=_RANKS.index) if mode != Mode.INITIAL else Mode.INITIAL
            return Scope(mode=mode, account_id=account_id)
        starts = [one.from_on for one in (self, other) if one.from_on is not None]
        if mode == Mode.INCREMENTAL and starts:
            mode = Mode.RANGE
        return Scope(mode=mode, account_id=account_id, from_on=min(starts, default=None), to_on=to_on)


def days_in_words(run: SyncRun) -> str:
    """`2024-01-01 to 2024-03-31`; "" when no days were chosen."""
    if run.from_on is None and run.to_on is None:
        return ""
    return f"{run.from_on or 'the beginning'} to {run.to_on or 'today'}"
