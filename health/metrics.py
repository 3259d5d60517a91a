"""What a set of broker calls adds up to: counts by outcome, and latencies in a histogram that merges. Pure.

Latencies are kept in bins whose borders grow by a constant factor (DDSketch: Masson, Rim, Lee, VLDB 2019). Every value
of a bin is within ACCURACY of the bin's representative, so a percentile is too, however many minutes were added up;
averaged percentiles, or samples, could promise nothing of the kind. An empty bin takes no room.
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any, Self

from connections.brokers.calls import Attribution, BrokerCall, LimitSource, Outcome

ACCURACY = 0.008  # relative; we promise 1 %, the rest is room for the rounding of logarithms
GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
SHORTEST, LONGEST = 0.000_1, 3600.0  # seconds; what lies outside is counted at the border
_LOG_GAMMA = math.log(GAMMA)
SETTLED = 10.0  # seconds of a minute from which its calls tell a pace


def bin_of(seconds: float) -> int:
    """The bin a duration falls into: bin i holds the values in (GAMMA**(i-1), GAMMA**i]."""
    return math.ceil(math.log(min(max(seconds, SHORTEST), LONGEST)) / _LOG_GAMMA)


def seconds_of(index: int) -> float:
    """The value that stands for a bin: nobody in the bin is further from it than ACCURACY."""
    return float(2 * GAMMA**index / (GAMMA + 1))


def quantiles(histogram: Mapping[int, int], *shares: float) -> tuple[float | None, ...]:
    """Seconds below which each share (0..1) of the values lies; None when there are no values.

    Between two ranks it interpolates linearly, as percentile_cont of SQL and numpy's default do.
    """
    bins = sorted(histogram)
    ends = list(accumulate(histogram[index] for index in bins))
    if not ends or not ends[-1]:
        return (None,) * len(shares)

    def at(rank: int) -> float:
        return seconds_of(bins[bisect_right(ends, rank)])

    def quantile(share: float) -> float:
        position = share * (ends[-1] - 1)
        rank = math.floor(position)
        below, above = at(rank), at(min(rank + 1, ends[-1] - 1))
        return below + (above - below) * (position - rank)

    return tuple(quantile(share) for share in shares)


def surely_above(failed: int, total: int) -> float:
    """The failure share (0..1) that is surely exceeded: Wilson's lower bound at four standard deviations.

    With few calls it stays low, so a handful of unlucky ones proves nothing. 0 without failures.
    Source: Wilson, "Probable inference", JASA 1927.
    """
    if not failed:
        return 0.0
    square = 16.0
    share = failed / total
    centre = share + square / (2 * total)
    margin = 4 * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    return max(0.0, (centre - margin) / (1 + square / total))


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A rate budget as last seen: `remaining` of `limit` calls per `period` seconds. None = not told."""

    limit: int
    remaining: int | None
    period: int | None
    seen_at: datetime
    source: LimitSource = LimitSource.DOCUMENTED

    @classmethod
    def of(cls, call: BrokerCall) -> Self | None:
        """As the call told it; None when it told none."""
        if call.limit is None:
            return None
        return cls(
            limit=call.limit,
            remaining=call.remaining,
            period=call.period,
            seen_at=call.started_at,
            source=call.limit_source,
        )

    @property
    def used(self) -> int | None:
        return None if self.remaining is None else self.limit - self.remaining

    @property
    def used_share(self) -> float | None:
        """0..1 of the limit."""
        return None if self.used is None or not self.limit else self.used / self.limit

    @property
    def resets_at(self) -> datetime | None:
        """When all of it is there again, if nothing is called until then."""
        return None if self.period is None else self.seen_at + timedelta(seconds=self.period)

    def is_like(self, other: "Budget") -> bool:
        """Of the same size: so many calls in so long a time."""
        return (self.limit, self.period) == (other.limit, other.period)

    def lasts(self, calls_per_second: float) -> float | None:
        """Seconds until it is used up if calls go on like this; None when it never is, or its use is not known.

        Of what was called nothing is given back before it is a period old, and at a pace that outruns the limit the
        budget is used up before that.
        """
        if self.remaining is None or self.period is None or calls_per_second * self.period <= self.limit:
            return None
        return self.remaining / calls_per_second

    def now(self, now: datetime) -> Self:
        """The budget as it stands at `now`: a whole period without a call gives all of it back."""
        if self.period is None or now - self.seen_at < timedelta(seconds=self.period):
            return self
        return replace(self, remaining=self.limit)


@dataclass(frozen=True, slots=True)
class Pace:
    """Calls in the minute that is running and in the one before it."""

    minute: int = 0
    before: int = 0

    def __add__(self, other: "Pace") -> "Pace":
        return Pace(self.minute + other.minute, self.before + other.before)

    def per_second(self, now: datetime) -> float:
        """As in this minute, once it is old enough to tell, or as in both: whichever is more."""
        elapsed = now.timestamp() % 60
        lately = self.minute / elapsed if elapsed >= SETTLED else 0.0
        return max(lately, (self.minute + self.before) / (60 + elapsed))


def _key(outcome: Outcome, attribution: Attribution) -> str:
    return f"{outcome}/{attribution}"


@dataclass(slots=True)
class Tally:
    """What some calls add up to. Two tallies merge into exactly the tally of all their calls, in any order."""

    counts: Counter[str] = field(default_factory=Counter)  # "outcome/attribution" -> calls
    latency: Counter[int] = field(default_factory=Counter)  # bin -> answered calls
    received_bytes: int = 0
    last_call_at: datetime | None = None
    budget: Budget | None = None

    def count(self, call: BrokerCall) -> None:
        self.counts[_key(call.outcome, call.attribution)] += 1
        if call.status is not None:  # a call without an answer has no latency; it shows among the errors
            self.latency[bin_of(call.duration)] += 1
        self.received_bytes += call.received_bytes
        self._saw(call.started_at)
        if budget := Budget.of(call):
            self._told(budget)

    def correct(self) -> None:
        """One call that counted as good was not: its answer came in a form the hub does not know."""
        self.counts[_key(Outcome.OK, Attribution.NONE)] -= 1
        self.counts[_key(Outcome.BAD_REPLY, Attribution.BROKER)] += 1

    def add(self, other: "Tally") -> None:
        self.counts.update(other.counts)
        self.latency.update(other.latency)
        self.received_bytes += other.received_bytes
        if other.last_call_at:
            self._saw(other.last_call_at)
        if other.budget:
            self._told(other.budget)

    def _saw(self, moment: datetime) -> None:
        if self.last_call_at is None or moment > self.last_call_at:
            self.last_call_at = moment

    def _told(self, budget: Budget) -> None:
        if self.budget is None or budget.seen_at >= self.budget.seen_at:
            self.budget = budget

    @property
    def calls(self) -> int:
        return self.counts.total()

    def failed(self, *sides: Attribution) -> int:
        """Failed calls by who was at fault; without `sides`, all that failed."""
        wanted = sides or (Attribution.BROKER, Attribution.OURS, Attribution.CREDENTIAL)
        endings = tuple(f"/{side}" for side in wanted)
        return sum(count for key, count in self.counts.items() if key.endswith(endings))

    @property
    def judged(self) -> int:
        """Calls that say something about the broker: those that went well and those that failed on its side."""
        return self.calls - self.failed(Attribution.OURS, Attribution.CREDENTIAL)

    def outcomes(self) -> dict[str, int]:
        """Calls per outcome, whoever was at fault."""
        totals: Counter[str] = Counter()
        for key, count in self.counts.items():
            totals[key.partition("/")[0]] += count
        return dict(totals)

    def as_json(self) -> dict[str, Any]:
        """The columns of a CallBucket, in what JSON can hold."""
        budget = self.budget
        return {
            "counts": dict(self.counts),
            "latency": {str(index): count for index, count in self.latency.items()},
            "received_bytes": self.received_bytes,
            "last_call_at": self.last_call_at and self.last_call_at.isoformat(),
            "budget_limit": budget and budget.limit,
            "budget_remaining": budget and budget.remaining,
            "budget_period": budget and budget.period,
            "budget_seen_at": budget and budget.seen_at.isoformat(),
            "budget_source": budget.source.value if budget else "",
        }
