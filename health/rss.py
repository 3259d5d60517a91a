"""Incidents and planned maintenance as RSS, for readers that ask every so often."""

from datetime import datetime

from django.conf import settings
from django.contrib.syndication.views import Feed
from django.urls import reverse

from health import details
from health.incident_models import Incident


class IncidentFeed(Feed):  # type: ignore[type-arg]  # not subscriptable at run time
    title = "Broker incidents"
    description = "Trouble at the brokers that the hub reads, from its first failure to its end."

    def link(self) -> str:
        return settings.BASE_URL + reverse("health:board")

    def items(self) -> list[Incident]:
        return details.incidents()

    def item_title(self, item: Incident) -> str:
        state = "resolved" if item.resolved_at else "open"
        return f"{item.get_broker_display()}: {item.get_status_display()} ({state})"

    def item_description(self, item: Incident) -> str:
        return " ".join(f"{line.at:%Y-%m-%d %H:%M} UTC: {line.text}" for line in item.updates.all())

    def item_pubdate(self, item: Incident) -> datetime:
        return item.opened_at

    def item_updateddate(self, item: Incident) -> datetime:
        return item.resolved_at or item.opened_at

    def item_link(self, item: Incident) -> str:
        return settings.BASE_URL + reverse("health:broker", args=[item.broker])

    def item_guid(self, item: Incident) -> str:
        return f"incident-{item.pk}"

    item_guid_is_permalink = False
