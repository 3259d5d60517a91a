"""Whether a broker works, judged from its calls minute by minute. Pure.

A verdict is a fold over the minutes: each minute's verdict follows from the one before and from the calls just made.
The same buckets give the same verdict in every process, so nothing is stored and nobody needs a lock.
Only failures on the broker's side count; ours and refused logins say nothing about the broker.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple

from django.db.models import TextChoices

from health.metrics import surely_above


class Status(TextChoices):
    """From best to worst; unknown and maintenance stand apart."""

    UNKNOWN = "unknown", "Unknown"
    MAINTENANCE = "maintenance", "Maintenance"
    OPERATIONAL = "operational", "Operational"
    DEGRADED = "degraded", "Degraded"
    PARTIAL_OUTAGE = "partial_outage", "Partial outage"
    OUTAGE = "outage", "Major outage"

    @property
    def tone(self) -> str:
        return {"operational": "good", "degraded": "warn", "unknown": "quiet", "maintenance": "wait"}.get(
            self.value, "bad"
        )

    @property
    def sentence(self) -> str:
        """With a place for the broker's name."""
        return _SENTENCES[self]

    @property
    def is_trouble(self) -> bool:
        return self.severity > Status.OPERATIONAL.severity

    @property
    def is_down(self) -> bool:
        """Counts against uptime: at least a part of it failed."""
        return self in (Status.PARTIAL_OUTAGE, Status.OUTAGE)

    @property
    def severity(self) -> int:
        return list(Status).index(self)


_SENTENCES = {
    Status.UNKNOWN: "{broker} has not been called in the last minutes, so nothing is known.",
    Status.MAINTENANCE: "{broker} is under planned maintenance. Nothing is wrong with your sign-in; syncs wait for it.",
    Status.OPERATIONAL: "{broker} is answering normally.",
    Status.DEGRADED: "{broker} answers, but slowly, late or not always. The hub repeats what fails by itself.",
    Status.PARTIAL_OUTAGE: "Part of {broker} is failing. Some data may be late; the hub keeps trying.",
    Status.OUTAGE: "{broker} is not answering. It is on their side; the hub goes on by itself once they are back.",
}


class Minute(NamedTuple):
    """What one minute says about the broker."""

    judged: int  # calls that went well or failed on the broker's side
    failed: int  # those of them that failed
    slow: int = 0  # those whose answer took longer than is usual there


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """The shares (0..1) from which calls are trouble, and how far they must fall for it to be over.

    Two bars each, so that a broker at the edge does not flap; noise of 5 % stays below the first (tested over a day).
    """

    trouble: float = 0.10  # the share of failing calls that must surely be exceeded to call it trouble...
    calm: float = 0.05  # ...and that it must fall under to end it
    partial: float = 0.50  # with trouble proven, the share itself says how bad it is
    outage: float = 0.90
    slow: float = 0.20  # the share of slow answers that must surely be exceeded; half of it ends it
    in_a_row: int = 4  # failures in minutes that hold nothing else are an outage: the breaker lets few calls through

    @property
    def levels(self) -> tuple[tuple[Status, float, float], ...]:
        """(status, from, until it falls under)"""
        return (
            (Status.OUTAGE, self.outage, 0.8 * self.outage),
            (Status.PARTIAL_OUTAGE, self.partial, 0.8 * self.partial),
        )


USUAL = Bars()
QUIET = Minute(0, 0)
SAMPLE_CALLS = 20  # the newest minutes that hold so many calls are judged together...
SAMPLE_MINUTES = 5  # ...but none older than this
LEAST_FAILURES = 3
CLEAN_MINUTES = 2  # measured minutes in a row without a failure end any trouble
# What one operation's verdict means for the whole broker.
_SOFTENED = {Status.OUTAGE: Status.PARTIAL_OUTAGE, Status.PARTIAL_OUTAGE: Status.DEGRADED}


def judge(minutes: Sequence[Minute], streak: int = 0, bars: Bars = USUAL) -> Status:
    """The verdict after the last of `minutes`, which are consecutive, oldest first, silent ones included.

    `streak` are the failures in a row up to now, which a minute that began well does not tell.
    """
    if streak >= bars.in_a_row and _sample(minutes[-SAMPLE_MINUTES:]).judged:
        return Status.OUTAGE
    verdict = Status.UNKNOWN
    for end in range(1, len(minutes) + 1):
        verdict = _next(verdict, minutes[max(0, end - SAMPLE_MINUTES) : end], bars)
    return verdict


def _next(before: Status, recent: Sequence[Minute], bars: Bars) -> Status:
    judged, failed, slow = _sample(recent)
    if not judged:
        return Status.UNKNOWN
    calm = Status.DEGRADED if _is_slow(before, recent, slow / judged, surely_above(slow, judged), bars) else None
    calm = calm or Status.OPERATIONAL
    if failed < LEAST_FAILURES or _is_clean(recent):
        return calm
    if _failed_in_a_row(recent) >= bars.in_a_row:
        return Status.OUTAGE
    if surely_above(failed, judged) < (bars.calm if before.is_trouble else bars.trouble):
        return calm
    for status, enter, leave in bars.levels:
        if failed / judged >= (leave if before.severity >= status.severity else enter):
            return status
    return Status.DEGRADED


def _is_slow(before: Status, recent: Sequence[Minute], share: float, surely: float, bars: Bars) -> bool:
    """Slowness begins when it is certain, and ends when the share itself falls, or with minutes that have none."""
    newest = [minute for minute in recent if minute.judged][-CLEAN_MINUTES:]
    if len(newest) == CLEAN_MINUTES and not any(minute.slow for minute in newest):
        return False
    return surely > bars.slow or (before.is_trouble and share > bars.slow / 2 and surely > 0)


def _sample(recent: Sequence[Minute]) -> Minute:
    """The newest minutes that together hold SAMPLE_CALLS: busy brokers are judged by this minute alone."""
    judged = failed = slow = 0
    for minute in reversed(recent):
        judged, failed, slow = judged + minute.judged, failed + minute.failed, slow + minute.slow
        if judged >= SAMPLE_CALLS:
            break
    return Minute(judged, failed, slow)


def _is_clean(recent: Sequence[Minute]) -> bool:
    newest = [minute for minute in recent if minute.judged][-CLEAN_MINUTES:]
    return len(newest) == CLEAN_MINUTES and not any(minute.failed for minute in newest)


def _failed_in_a_row(recent: Sequence[Minute]) -> int:
    """Failures in the newest measured minutes that hold nothing but failures."""
    measured = (minute for minute in reversed(recent) if minute.judged)
    return sum(minute.failed for minute in takewhile(lambda minute: minute.failed == minute.judged, measured))


def judge_broker(operations: Sequence[Sequence[Minute]], streaks: Sequence[int] = (), bars: Bars = USUAL) -> Status:
    """A broker's verdict from the minutes of each of its operations, all of the same length, and their failures in a
    row up to now.

    As bad as all calls together, and not much better than the worst operation: one that is out while others work is a
    partial outage, however few calls it has. While any operation answers, nobody is told that the broker is out.
    """
    if not operations:
        return Status.UNKNOWN
    together = [Minute(*(sum(counts) for counts in zip(*each, strict=True))) for each in zip(*operations, strict=True)]
    streaks = streaks or [0] * len(operations)
    verdicts = [judge(minutes, streak, bars) for minutes, streak in zip(operations, streaks, strict=True)]
    asked_lately = [
        streak for each, streak in zip(operations, streaks, strict=True) if any(m.judged for m in each[-CLEAN_MINUTES:])
    ]
    worst = max(verdicts, key=lambda verdict: verdict.severity)
    softened = _SOFTENED.get(worst, worst)
    verdict = max(judge(together, min(asked_lately, default=0), bars), softened, key=lambda verdict: verdict.severity)
    answering = any(
        each is Status.OPERATIONAL and any(minute.judged > minute.failed for minute in minutes[-CLEAN_MINUTES:])
        for each, minutes in zip(verdicts, operations, strict=True)
    )
    return Status.PARTIAL_OUTAGE if verdict is Status.OUTAGE and answering else verdict
