"""What of webhooks needs an operator."""

from collections.abc import Sequence
from datetime import timedelta

from django.db.models import OuterRef, Subquery
from django.utils import timezone

from brokerhub.kernel.desk import Attention, Pile, by_reason, desk, list_of
from brokerhub.webhooks.models import Delivery, DeliveryState, Endpoint, Event, OffReason, State

LATE = timedelta(minutes=10)  # beat rings the dispatch every few seconds


def _switched_off() -> Sequence[Pile]:
    return by_reason(
        Endpoint.objects.switched_off(),
        "off_reason",
        words=lambda reason: OffReason(reason).label,
        link=lambda reason: list_of(Endpoint, state__exact=State.SWITCHED_OFF, off_reason__exact=reason),
    )


def _failing() -> Sequence[Pile]:
    """Those that are on and have not answered as they should for a while, by what came back the last time."""
    last = Delivery.objects.filter(endpoint=OuterRef("pk")).exclude(last_attempt_at=None).order_by("-last_attempt_at")
    failing = Endpoint.objects.failing().annotate(
        last_status=Subquery(last.values("response_status")[:1]), last_error=Subquery(last.values("error")[:1])
    )
    return by_reason(
        failing,
        "last_status",
        "last_error",
        words=lambda status, error: error or f"It answers {status}.",
        link=lambda *_: list_of(Endpoint, state__exact=State.ON, failing_since__isnull=False),
    )


def _late() -> Sequence[Pile]:
    """What no worker has taken on, though nothing hinders it."""
    now = timezone.now()
    free = Delivery.objects.due(now - LATE).filter(endpoint__held_until__lte=now, endpoint__paused_until__lte=now)
    unnumbered = Event.objects.unnumbered().filter(occurred_at__lte=now - LATE)
    waiting = by_reason(
        free,
        "state",
        words=lambda _: "Deliveries that are due",
        link=lambda state: list_of(Delivery, state__exact=DeliveryState(state)),
    )
    events = by_reason(
        unnumbered,
        "number",
        words=lambda _: "Events that have no deliveries yet",
        link=lambda _: list_of(Event, number__isempty=1),
    )
    return [*waiting, *events]


desk.watch(
    Attention(
        title="Webhooks switched off by the hub",
        advice="Their owners have a mail and see it on their page. Ask who does not react whether it may be removed.",
        permission="webhooks.view_endpoint",
        piles=_switched_off,
    ),
    Attention(
        title="Webhooks that fail",
        advice="Their programs do not answer as they should. When all fail alike, look at the hub's own way out.",
        permission="webhooks.view_endpoint",
        piles=_failing,
    ),
    Attention(
        title="Webhooks that nobody sends",
        advice="The task webhooks.dispatch does not run, or does not keep up: look at beat and the workers.",
        permission="webhooks.view_delivery",
        piles=_late,
        tone="bad",
    ),
)
