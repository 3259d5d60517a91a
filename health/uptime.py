"""How much of a time a broker was up, counted from the spans it was in each state. Exact to the second.

Down is a partial or a major outage; operational and degraded are up. Maintenance counts apart, and so does the time in
which nobody looked: neither is up nor down. People choose which share they want; see `Uptime`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from connections.brokers.records import Broker
from health.incident_models import StatusSpan
from health.verdicts import Status

NOTHING = timedelta(0)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Uptime:
    """What a time is made of. Shares are 0..1, None when nothing was known."""

    since: datetime
    until: datetime
    up: timedelta
    down: timedelta
    maintenance: timedelta

    @property
    def unknown(self) -> timedelta:
        return self.until - self.since - self.up - self.down - self.maintenance

    @property
    def share(self) -> float | None:
        """Of the known time outside of maintenance."""
        return _share(self.up, self.up + self.down)

    @property
    def share_with_maintenance(self) -> float | None:
        """The same with maintenance counted as down."""
        return _share(self.up, self.up + self.down + self.maintenance)

    @property
    def known_share(self) -> float:
        return 1 - self.unknown / (self.until - self.since)


def _share(part: timedelta, whole: timedelta) -> float | None:
    return part / whole if whole else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One bar: a day of UTC with the worst that was seen for a minute or more, and how long it was down."""

    on: date
    status: Status
    uptime: Uptime


def of(spans: Iterable[StatusSpan], since: datetime, until: datetime) -> Uptime:
    """Counted from a broker's (or an operation's) spans, which may reach beyond the time."""
    lengths = _lengths(spans, since, until)
    return Uptime(
        since=since,
        until=until,
        up=lengths[Status.OPERATIONAL] + lengths[Status.DEGRADED],
        down=lengths[Status.PARTIAL_OUTAGE] + lengths[Status.OUTAGE],
        maintenance=lengths[Status.MAINTENANCE],
    )


def _lengths(spans: Iterable[StatusSpan], since: datetime, until: datetime) -> Mapping[Status, timedelta]:
    lengths: defaultdict[Status, timedelta] = defaultdict(timedelta)
    for span in spans:
        length = min(span.ends_at, until) - max(span.starts_at, since)
        if length > NOTHING:
            lengths[Status(span.status)] += length
    return lengths


def spans_of(since: datetime, until: datetime) -> dict[Broker, list[StatusSpan]]:
    """All brokers' spans that touch this time, in one query."""
    found: defaultdict[Broker, list[StatusSpan]] = defaultdict(list)
    for span in StatusSpan.objects.of_brokers().between(since, until):
        found[Broker(span.broker)].append(span)
    return found


def days(spans: Iterable[StatusSpan], *, last: datetime, count: int = 90) -> list[Day]:
    """One entry for each of `count` days, the oldest first; today's ends at `last`."""
    spans, today = list(spans), last.astimezone(UTC).date()
    return [_day(spans, today - (count - 1 - n) * DAY, last) for n in range(count)]


def _day(spans: Iterable[StatusSpan], on: date, last: datetime) -> Day:
    since = datetime.combine(on, time(), UTC)
    until = max(min(since + DAY, last), since + timedelta(seconds=1))
    inside = [span for span in spans if span.ends_at > since and span.starts_at < until]
    lengths = _lengths(inside, since, until)
    lasting = [status for status, length in lengths.items() if length >= timedelta(minutes=1)] or list(lengths)
    worst = max(lasting, key=lambda status: status.severity, default=Status.UNKNOWN)
    return Day(on=on, status=worst, uptime=of(inside, since, until))
