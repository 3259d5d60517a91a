"""Planned maintenance: what is on, what comes, and the pause of syncs that follows from it."""

from collections import defaultdict
from datetime import datetime, timedelta

from brokerhub.kernel.hints import hints
from connections.brokers import closures
from connections.brokers.records import Broker
from health.maintenance_models import MaintenanceWindow, Occurrence

AHEAD = timedelta(days=14)  # how far people look
TOLD_AFTER = timedelta(hours=6)  # later than that after its end nobody needs to be told any more


def occurrences(since: datetime, until: datetime, broker: Broker | None = None) -> list[Occurrence]:
    """All that touch this time, soonest first, in one query."""
    windows = MaintenanceWindow.objects.filter(is_active=True)
    if broker is not None:
        windows = windows.filter(broker=broker)
    return sorted(each for window in windows for each in window.occurrences(since, until))


def plan(now: datetime) -> dict[Broker, list[Occurrence]]:
    """What is on and what comes in the next two weeks, by broker; an empty list for one without plans."""
    planned: defaultdict[Broker, list[Occurrence]] = defaultdict(list)
    for each in occurrences(now, now + AHEAD):
        planned[each.broker].append(each)
    return planned


BANNER = "health:banner"
BANNER_KEPT = 120  # seconds; the next look writes it again


def announce(now: datetime) -> None:
    """Keep ready what every page shows: what is on; of what does not come every night also what begins within a day
    and what is just over."""
    told = [
        each
        for each in occurrences(now - TOLD_AFTER, now + timedelta(days=1))
        if each.is_on(now) or not each.is_routine
    ]
    hints.set(BANNER, [each for each in told if each.pauses_syncs or not each.is_routine], timeout=BANNER_KEPT)


def close_and_open(now: datetime) -> None:
    """Let nobody call a broker while a window of it is on; syncs that meet it wait for its end and go on."""
    on = [each for each in occurrences(now, now + timedelta(seconds=1)) if each.pauses_syncs]
    for broker in Broker:
        ends = [each.ends_at for each in on if each.broker is broker]
        until = closures.closed_until(broker)
        if ends and until != max(ends):
            closures.close(broker, max(ends))
        elif not ends and until is not None:
            closures.reopen(broker)
