"""Incidents and planned maintenance as RSS, for readers that ask every so often."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.syndication.views import Feed
from django.urls import reverse
from django.utils import timezone

from health import alerts, details, maintenance
from health.incident_models import Incident
from health.maintenance_models import Occurrence

BACK = timedelta(days=14)  # for so long maintenance that is over is still told


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    guid: str
    title: str
    text: str
    broker: str
    published_at: datetime
    updated_at: datetime


def entries(now: datetime) -> list[Entry]:
    """The newest first. Of maintenance what does not come all the time, from the day before it on."""
    planned = [each for each in maintenance.occurrences(now - BACK, now + alerts.AHEAD) if not each.is_routine]
    told = [_of_incident(each) for each in details.incidents()] + [_of_maintenance(each, now) for each in planned]
    return sorted(told, key=lambda entry: entry.published_at, reverse=True)


def _of_incident(incident: Incident) -> Entry:
    state = "resolved" if incident.resolved_at else "open"
    lines = list(incident.updates.all())
    return Entry(
        guid=f"incident-{incident.pk}",
        title=f"{incident.get_broker_display()}: {incident.get_status_display()} ({state})",
        text=" ".join(f"{line.at:%Y-%m-%d %H:%M} UTC: {line.text}" for line in lines),
        broker=incident.broker,
        published_at=incident.opened_at,
        updated_at=lines[-1].at if lines else incident.opened_at,
    )


def _of_maintenance(occurrence: Occurrence, now: datetime) -> Entry:
    broker, announced_at = occurrence.broker, occurrence.starts_at - alerts.AHEAD
    state = "on now" if occurrence.is_on(now) else "over" if now >= occurrence.ends_at else "planned"
    syncs = " Syncs wait for its end and go on by themselves." if occurrence.pauses_syncs else ""
    return Entry(
        guid=f"maintenance-{occurrence.key}",
        title=f"{broker.label}: {occurrence.title} (maintenance, {state})",
        text=f"{occurrence.starts_at:%Y-%m-%d %H:%M} to {occurrence.ends_at:%Y-%m-%d %H:%M} UTC.{syncs}",
        broker=broker.value,
        published_at=announced_at,
        updated_at=max(each for each in (announced_at, occurrence.starts_at, occurrence.ends_at) if each <= now),
    )


class IncidentFeed(Feed):  # type: ignore[type-arg]  # not subscriptable at run time
    title = "Broker incidents and maintenance"
    description = (
        "Trouble at the brokers that the hub reads, from its first failure to its end; and planned maintenance."
    )
    item_guid_is_permalink = False

    def link(self) -> str:
        return settings.BASE_URL + reverse("health:board")

    def items(self) -> list[Entry]:
        return entries(timezone.now())

    def item_title(self, item: Entry) -> str:
        return item.title

    def item_description(self, item: Entry) -> str:
        return item.text

    def item_pubdate(self, item: Entry) -> datetime:
        return item.published_at

    def item_updateddate(self, item: Entry) -> datetime:
        return item.updated_at

    def item_link(self, item: Entry) -> str:
        return settings.BASE_URL + reverse("health:broker", args=[item.broker])

    def item_guid(self, item: Entry) -> str:
        return item.guid
