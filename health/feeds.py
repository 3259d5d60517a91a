"""Brokers' published plans, read from an iCalendar feed or from a status page in Atlassian's format.

Entries become windows that are on once: a repeated event is written out for the days ahead by its own rules, with
its exceptions. What a feed does not name any more is taken back, unless it has begun.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from http.client import HTTPException, HTTPResponse
from typing import Any

import recurring_ical_events
import structlog
from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from icalendar import Calendar

from brokerhub.kernel import outgoing
from brokerhub.kernel.addresses import AddressRefused
from connections.brokers.records import Broker
from health.maintenance_models import LONGEST, MaintenanceFeed, MaintenanceWindow, once

log = structlog.get_logger(__name__)

AHEAD = timedelta(days=60)
MOST_BYTES = 2 * 1024 * 1024
MOST_ENTRIES = 500
DEADLINE = 30.0  # seconds for the whole of it


class FeedError(Exception):
    """The feed could not be read; the text says why, for administrators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One entry of a feed, whatever its format."""

    external_id: str
    title: str
    details: str
    starts_at: datetime
    ends_at: datetime


def read_all() -> int:
    """Read every feed that is switched on; how many could be read. One that fails says so in the admin."""
    return sum(read(feed) for feed in MaintenanceFeed.objects.filter(is_active=True))


def read(feed: MaintenanceFeed) -> bool:
    now = timezone.now()
    try:
        entries = list(_entries(feed, _fetch(feed), now))[:MOST_ENTRIES]
        feed.error = ""
    except FeedError as error:
        feed.error = f"{error}"[:300]
        log.warning("feed_not_read", feed_id=feed.pk, why=feed.error)
    else:
        _store(feed, entries, now)
    feed.read_at = now
    feed.save(update_fields=["error", "read_at"])
    return not feed.error


def _fetch(feed: MaintenanceFeed) -> bytes:
    """Raises FeedError."""
    request = outgoing.Request(
        url=feed.url,
        headers={"Accept-Encoding": "identity", "User-Agent": "broker-hub"},
        deadline=DEADLINE,
        allow_private=feed.is_in_sandbox,
    )
    try:
        with outgoing.sent(request) as answer:
            return _content(answer)
    except (AddressRefused, OSError, HTTPException) as error:
        raise FeedError(outgoing.in_words(error, DEADLINE)) from error


def _content(answer: HTTPResponse) -> bytes:
    """All of it: half a plan would take the other half back. Raises FeedError, OSError and HTTPException."""
    if answer.status != 200:
        raise FeedError(f"The address answered {answer.status}.")
    content = answer.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise FeedError("The feed is larger than 2 MB.")
    if answer.length:
        raise FeedError("The rest of the answer did not come.")
    return content


def _entries(feed: MaintenanceFeed, content: bytes, now: datetime) -> Iterator[Planned]:
    """Those that end after `now` and begin in the days ahead. Raises FeedError."""
    parse = _of_calendar if feed.kind == MaintenanceFeed.Kind.ICALENDAR else _of_statuspage
    try:
        for entry in parse(content, now):
            if entry.ends_at > now and entry.starts_at < now + AHEAD:
                if not timedelta(0) < entry.ends_at - entry.starts_at <= LONGEST:
                    continue  # nothing, or so long that it is no window but news
                yield entry
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FeedError(f"This is not a feed of this kind: {error}") from error


def _of_calendar(content: bytes, now: datetime) -> Iterator[Planned]:
    """RFC 5545. A time without a zone is UTC; a day without a time is the whole day."""
    calendar = Calendar.from_ical(content)
    for event in recurring_ical_events.of(calendar).between(now - LONGEST, now + AHEAD):
        if str(event.get("STATUS", "")).upper() == "CANCELLED":
            continue
        starts_at, ends_at = _moment(event.start), _moment(event.end)
        yield Planned(
            external_id=f"{event['UID']}@{starts_at:%Y%m%dT%H%M%SZ}"[:300],
            title=str(event.get("SUMMARY", "") or "Planned maintenance"),
            details=str(event.get("DESCRIPTION", "")),
            starts_at=starts_at,
            ends_at=ends_at,
        )


def _moment(value: date) -> datetime:
    if not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _of_statuspage(content: bytes, now: datetime) -> Iterator[Planned]:
    """`/api/v2/scheduled-maintenances.json` and its shorter forms (statuspage.io, "Status API")."""
    listed: list[dict[str, Any]] = json.loads(content)["scheduled_maintenances"]
    for entry in listed:
        if entry.get("status") == "completed":
            continue
        starts_at, ends_at = parse_datetime(entry["scheduled_for"]), parse_datetime(entry["scheduled_until"])
        if starts_at is None or ends_at is None:
            raise ValueError("a time is missing")
        updates = entry.get("incident_updates") or [{}]
        yield Planned(
            external_id=str(entry["id"]),
            title=str(entry["name"]),
            details=str(updates[0].get("body") or ""),
            starts_at=_moment(starts_at),
            ends_at=_moment(ends_at),
        )


@transaction.atomic
def _store(feed: MaintenanceFeed, entries: list[Planned], now: datetime) -> None:
    told = {entry.external_id for entry in entries}
    for window in feed.windows.exclude(external_id__in=told):
        if any(each.starts_at > now for each in window.occurrences(now, now + 2 * AHEAD)):
            window.delete()
    known = {window.external_id: window for window in feed.windows.select_for_update()}
    for entry in entries:
        window = _window(feed, entry)
        before = known.get(entry.external_id)
        if before is not None:  # an administrator's switches stay as they are
            window.pk, window.is_active, window.pauses_syncs = before.pk, before.is_active, before.pauses_syncs
        window.save()


def _window(feed: MaintenanceFeed, entry: Planned) -> MaintenanceWindow:
    return once(
        Broker(feed.broker),
        entry.title,
        entry.starts_at,
        entry.ends_at,
        details=entry.details[:2_000],
        source=feed.url,
        pauses_syncs=feed.pauses_syncs,
        feed=feed,
        external_id=entry.external_id,
    )
