"""The brokers' health in the shape of a status page (Atlassian Statuspage, API v2), for tools that read those.

Source: https://metastatuspage.com/api (summary, components, incidents, scheduled maintenances).
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from health import details, health_monitor, maintenance
from health.health_monitor import BrokerHealth
from health.incident_models import Incident
from health.maintenance_models import Occurrence
from health.verdicts import Status

COMPONENT = {
    Status.OPERATIONAL: "operational",
    Status.DEGRADED: "degraded_performance",
    Status.PARTIAL_OUTAGE: "partial_outage",
    Status.OUTAGE: "major_outage",
    Status.MAINTENANCE: "under_maintenance",
    Status.UNKNOWN: "operational",  # the shape knows no "unknown"; `known` beside it says so
}
INDICATOR = {
    Status.DEGRADED: ("minor", "Minor trouble"),
    Status.PARTIAL_OUTAGE: ("major", "Partial outage"),
    Status.OUTAGE: ("critical", "Major outage"),
}
IMPACT = {status: words[0] for status, words in INDICATOR.items()}


def summary() -> dict[str, Any]:
    healths, now = health_monitor.board(), timezone.now()
    worst = max((each.status for each in healths), key=lambda status: status.severity)
    indicator, words = INDICATOR.get(worst, ("none", "All brokers operational"))
    if worst is Status.MAINTENANCE:
        indicator, words = "maintenance", "Planned maintenance"
    return {
        "page": page(now),
        "status": {"indicator": indicator, "description": words},
        "components": components(healths),
        "incidents": [incident(each) for each in details.incidents() if each.resolved_at is None],
        "scheduled_maintenances": upcoming(now),
    }


def page(now: datetime) -> dict[str, Any]:
    url = settings.BASE_URL + reverse("health:board")
    return {"id": "broker-hub", "name": "Broker Integration Hub", "url": url, "updated_at": now}


def components(healths: Iterable[BrokerHealth]) -> list[dict[str, Any]]:
    """A component for each broker, in the order people see them."""
    return [
        {
            "id": health.broker.value,
            "name": health.broker.label,
            "status": COMPONENT[health.status],
            "known": health.status is not Status.UNKNOWN,
            "position": position,
            "updated_at": health.as_of,
        }
        for position, health in enumerate(healths, start=1)
    ]


def incident(it: Incident) -> dict[str, Any]:
    return {
        "id": f"{it.pk}",
        "name": f"{it.get_broker_display()}: {it.get_status_display()}",
        "status": "resolved" if it.resolved_at else "investigating",
        "impact": IMPACT.get(Status(it.status), "none"),
        "created_at": it.opened_at,
        "started_at": it.first_failure_at,
        "resolved_at": it.resolved_at,
        "components": [{"id": it.broker, "name": it.get_broker_display()}],
        "incident_updates": [{"body": line.text, "created_at": line.at} for line in reversed(it.updates.all())],
    }


def upcoming(now: datetime) -> list[dict[str, Any]]:
    """What is on and what comes in two weeks, soonest first."""
    return [_planned(each, now) for each in maintenance.occurrences(now, now + maintenance.AHEAD)]


def _planned(occurrence: Occurrence, now: datetime) -> dict[str, Any]:
    return {
        "id": f"{occurrence.window_id}-{occurrence.starts_at:%Y%m%dT%H%MZ}",
        "name": occurrence.title,
        "status": "in_progress" if occurrence.is_on(now) else "scheduled",
        "impact": "maintenance",
        "scheduled_for": occurrence.starts_at,
        "scheduled_until": occurrence.ends_at,
        "pauses_syncs": occurrence.pauses_syncs,
        "components": [{"id": occurrence.broker.value, "name": occurrence.broker.label}],
    }
