"""What of the brokers' health needs an operator, and which failed calls a request id leads to."""

from collections.abc import Sequence

from brokerhub.kernel.desk import Attention, Pile, Source, by_reason, desk, list_of, rows_of
from connections.brokers.records import Broker
from health.models import FailedCall, Incident, MaintenanceFeed
from health.verdicts import Status


def _incidents() -> Sequence[Pile]:
    return by_reason(
        Incident.objects.open(),
        "broker",
        "status",
        words=lambda broker, status: f"{Broker(broker).label}: {Status(status).label}",
        link=lambda broker, status: list_of(Incident, broker__exact=broker, resolved_at__isnull=True),
    )


def _feeds() -> Sequence[Pile]:
    return by_reason(
        MaintenanceFeed.objects.filter(is_active=True).exclude(error=""),
        "broker",
        "error",
        words=lambda broker, error: f"{Broker(broker).label}: {error}",
        link=lambda broker, error: list_of(MaintenanceFeed, broker__exact=broker),
    )


def _told(call: FailedCall) -> str:
    status = call.status or "no answer"
    side = {"ours": "our side", "broker": "the broker's side", "credential": "the login"}.get(call.attribution, "")
    named = f", the broker calls it {call.correlation_id}" if call.correlation_id else ""
    return f"{status}, {side} after {call.seconds:.1f} s{named}"


desk.watch(
    Attention(
        title="Open incidents",
        advice="Add words for people to the timeline. An incident closes by itself when the broker answers again.",
        permission="health.view_incident",
        piles=_incidents,
        tone="bad",
    ),
    Attention(
        title="Maintenance feeds that cannot be read",
        advice="Mend the address, or switch the feed off and enter windows by hand.",
        permission="health.view_maintenancefeed",
        piles=_feeds,
    ),
)
desk.search(
    Source(
        title="Calls to brokers that failed",
        permission="health.view_failedcall",
        find=rows_of(FailedCall, "started_at", detail=_told),
    )
)
