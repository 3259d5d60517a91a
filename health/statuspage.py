"""The brokers' health in the shape of a status page (Atlassian Statuspage, API v2), for tools that read those.

Source: https://metastatuspage.com/api (summary, components, incidents, scheduled maintenances).
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from health import details, health_monitor, maintenance
from health.health_monitor import BrokerHealth
from health.incident_models import Incident, IncidentUpdate
from health.maintenance_models import Occurrence
from health.models import CallBucket
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
PAGE_ID = "broker-hub"


def summary() -> dict[str, Any]:
    healths, now = health_monitor.board(), timezone.now()
    return {
        "page": page(now),
        "status": _status(healths),
        "components": components(healths),
        "incidents": _incidents(unresolved=True),
        "scheduled_maintenances": planned(now),
    }


def _status(healths: Iterable[BrokerHealth]) -> dict[str, str]:
    worst = max((each.status for each in healths), key=lambda status: status.severity)
    indicator, words = INDICATOR.get(worst, ("none", "All brokers operational"))
    if worst is Status.MAINTENANCE:
        indicator, words = "maintenance", "Planned maintenance"
    return {"indicator": indicator, "description": words}


def page(now: datetime) -> dict[str, Any]:
    url = settings.BASE_URL + reverse("health:board")
    return {"id": PAGE_ID, "name": "Broker Integration Hub", "url": url, "time_zone": "Etc/UTC", "updated_at": now}


def components(healths: Iterable[BrokerHealth]) -> list[dict[str, Any]]:
    """A component for each broker, in the order people see them."""
    since = CallBucket.objects.first_calls()
    return [
        {
            "id": health.broker.value,
            "name": health.broker.label,
            "status": COMPONENT[health.status],
            "known": health.status is not Status.UNKNOWN,
            "description": health.sentence,
            "group": False,
            "group_id": None,
            "only_show_if_degraded": False,
            "showcase": True,
            "page_id": PAGE_ID,
            "created_at": since.get(health.broker),
            "position": position,
            "updated_at": health.as_of,
        }
        for position, health in enumerate(healths, start=1)
    ]


def _incidents(*, unresolved: bool = False) -> list[dict[str, Any]]:
    return [incident(each) for each in details.incidents() if each.resolved_at is None or not unresolved]


def incident(it: Incident) -> dict[str, Any]:
    lines = list(reversed(it.updates.all()))
    return {
        "id": f"{it.pk}",
        "name": f"{it.get_broker_display()}: {it.get_status_display()}",
        "status": "resolved" if it.resolved_at else "investigating",
        "impact": IMPACT.get(Status(it.status), "none"),
        "created_at": it.opened_at,
        "started_at": it.first_failure_at,
        "monitoring_at": None,
        "resolved_at": it.resolved_at,
        "updated_at": lines[0].at if lines else it.opened_at,
        "page_id": PAGE_ID,
        "shortlink": _broker_page(it.broker) + f"#incident-{it.pk}",
        "components": [{"id": it.broker, "name": it.get_broker_display()}],
        "incident_updates": [_line(each) for each in lines],
    }


def _line(line: IncidentUpdate) -> dict[str, Any]:
    is_over = bool(line.status) and not Status(line.status).is_trouble
    return {
        "id": f"{line.pk}",
        "incident_id": f"{line.incident_id}",
        "status": "resolved" if is_over else "investigating",
        "body": line.text,
        "created_at": line.at,
        "display_at": line.at,
        "updated_at": line.at,
    }


def _broker_page(broker: str) -> str:
    return settings.BASE_URL + reverse("health:broker", args=[broker])


def planned(now: datetime, *states: str) -> list[dict[str, Any]]:
    """What is on and what comes in two weeks, soonest first."""
    found = [_planned(each, now) for each in maintenance.occurrences(now, now + maintenance.AHEAD)]
    return [each for each in found if not states or each["status"] in states]


def _planned(occurrence: Occurrence, now: datetime) -> dict[str, Any]:
    return {
        "id": occurrence.key,
        "name": occurrence.title,
        "status": "in_progress" if occurrence.is_on(now) else "scheduled",
        "impact": "maintenance",
        "scheduled_for": occurrence.starts_at,
        "scheduled_until": occurrence.ends_at,
        "monitoring_at": None,
        "resolved_at": None,
        "created_at": None,
        "updated_at": None,
        "page_id": PAGE_ID,
        "shortlink": _broker_page(occurrence.broker.value) + "#planned",
        "incident_updates": [],
        "pauses_syncs": occurrence.pauses_syncs,
        "components": [{"id": occurrence.broker.value, "name": occurrence.broker.label}],
    }


# --- As the documents of a public status page, which tools look for below its address ---------------------------------
def document(name: str) -> dict[str, Any] | None:
    """What a status page has at `/api/v2/{name}.json`; None for what it does not have."""
    part = _PARTS.get(name)
    return {"page": page(timezone.now())} | part() if part else None


_PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "summary": summary,
    "status": lambda: {"status": _status(health_monitor.board())},
    "components": lambda: {"components": components(health_monitor.board())},
    "incidents": lambda: {"incidents": _incidents()},
    "incidents/unresolved": lambda: {"incidents": _incidents(unresolved=True)},
    "scheduled-maintenances": lambda: {"scheduled_maintenances": planned(timezone.now())},
    "scheduled-maintenances/upcoming": lambda: {"scheduled_maintenances": planned(timezone.now(), "scheduled")},
    "scheduled-maintenances/active": lambda: {"scheduled_maintenances": planned(timezone.now(), "in_progress")},
}
