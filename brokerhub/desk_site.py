"""The operators' start page: is the hub alive, what needs attention, and where a request id leads."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path
from django.utils import timezone

from brokerhub import queues
from brokerhub.kernel import trace, writes
from brokerhub.kernel.desk import desk
from brokerhub.kernel.hints import hints
from brokerhub.kernel.models import User
from brokerhub.kernel.tasks import HEARTBEAT_KEY
from sync.models import SyncRun

SILENT = timedelta(minutes=1)  # beat sends the heartbeat every 15 seconds
SLOW = timedelta(minutes=2)  # an idle worker takes up a run in seconds


@dataclass(frozen=True, slots=True)
class Pulse:
    """Whether work is being done: when a worker was last heard of, and since when the oldest run waits for one."""

    heard_at: datetime | None
    waits_since: datetime | None
    late: list[queues.Line] | None  # queues whose oldest task waits too long; None: Redis is away, nobody can say

    @property
    def is_silent(self) -> bool:
        return self.heard_at is None or timezone.now() - self.heard_at > SILENT

    @property
    def is_slow(self) -> bool:
        return self.waits_since is not None and timezone.now() - self.waits_since > SLOW


def pulse() -> Pulse:
    beat: str | None = hints.get(HEARTBEAT_KEY)
    try:
        late = [line for line in queues.lines() if line.is_late]
    except queues.AWAY:
        late = None
    return Pulse(datetime.fromisoformat(beat) if beat else None, SyncRun.objects.waits_since(), late)


class HubAdminSite(admin.AdminSite):
    index_template = "admin/desk.html"

    def get_urls(self) -> list[URLPattern | URLResolver]:
        return [path("requests/", self.admin_view(self.requests), name="requests"), *super().get_urls()]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        items = desk.waiting(request.user)
        context = {
            "waiting": [item for item in items if item.total],
            "quiet": [item.item.title for item in items if not item.total],
            "pulse": pulse(),
        }
        return super().index(request, context | (extra_context or {}))

    def requests(self, request: HttpRequest) -> HttpResponse:
        """Everything that one request id left behind, as far as this person may see it."""
        asked = request.GET.get("id", "").strip()
        is_one = trace.SAFE.fullmatch(asked) is not None
        context = {
            **self.each_context(request),
            "title": "Search by request id",
            "asked": asked,
            "is_one": is_one,
            "writes": _writes(asked) if is_one and request.user.has_perm("kernel.view_user") else [],
            "found": desk.found(asked, request.user) if is_one else [],
        }
        return TemplateResponse(request, "admin/requests.html", context)


def _writes(request_id: str) -> list[tuple[writes.Write, datetime, User | None]]:
    """What the last day's requests with this id were to change, with the person who sent each."""
    noted = writes.of_request(request_id)
    people = User.objects.in_bulk({write.user_id for write in noted}) if noted else {}
    return [(write, datetime.fromisoformat(write.at), people.get(write.user_id)) for write in noted]
