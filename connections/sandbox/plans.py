"""Maintenance that brokers announce: the same plans as an iCalendar feed and as a status page's list."""

from datetime import UTC, datetime
from itertools import count
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse

from connections.sandbox.control import Body, lever
from connections.sandbox.world import WORLD, Plan

_NUMBERS = count(1)


@lever("GET", "POST", "DELETE")
def plans(method: str, body: Body) -> Any:
    """POST announces one at a `broker`: `title`, `starts_at` (ISO), `minutes`, `rule`; DELETE takes all back."""
    broker = str(body.get("broker", "schwab"))
    if broker not in WORLD.sides:
        raise ValueError(f"There is no broker {broker!r}.")
    if method == "DELETE":
        WORLD.plans.pop(broker, None)
    if method == "POST":
        plan = Plan(
            number=next(_NUMBERS),
            title=str(body["title"]),
            starts_at=datetime.fromisoformat(str(body["starts_at"])),
            minutes=int(body["minutes"]),
            rule=str(body.get("rule", "")),
        )
        WORLD.plans.setdefault(broker, []).append(plan)
    return [{"id": plan.number, "title": plan.title} for plan in WORLD.plans.get(broker, [])]


def calendar(request: HttpRequest, broker: str) -> HttpResponse:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", f"PRODID:-//Sandbox//{broker}//EN"]
    for plan in _announced(broker):
        lines += [
            "BEGIN:VEVENT",
            f"UID:{plan.number}@sandbox",
            f"DTSTAMP:{_stamp(WORLD.clock.now())}",
            f"DTSTART:{_stamp(plan.starts_at)}",
            f"DTEND:{_stamp(plan.ends_at)}",
            f"SUMMARY:{plan.title}",
            *([f"RRULE:{plan.rule}"] if plan.rule else []),
            "END:VEVENT",
        ]
    text = "\r\n".join([*lines, "END:VCALENDAR", ""])
    return HttpResponse(text, content_type="text/calendar; charset=utf-8")


def status_page(request: HttpRequest, broker: str) -> JsonResponse:
    listed = [
        {
            "id": f"plan{plan.number}",
            "name": plan.title,
            "status": "scheduled",
            "scheduled_for": plan.starts_at.isoformat(),
            "scheduled_until": plan.ends_at.isoformat(),
            "incident_updates": [{"body": "We will be back soon.", "status": "scheduled"}],
        }
        for plan in _announced(broker)
    ]
    return JsonResponse({"page": {"id": broker, "name": broker}, "scheduled_maintenances": listed})


def _announced(broker: str) -> list[Plan]:
    if broker not in WORLD.sides:
        raise Http404
    return WORLD.plans.get(broker, [])


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
