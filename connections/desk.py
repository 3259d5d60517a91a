"""What of connections needs an operator, and what of them a request id leads to."""

from collections.abc import Sequence

from brokerhub.kernel.desk import Attention, Pile, Source, by_reason, desk, list_of, rows_of
from connections.models import Connection, ConnectionEvent, UnfinishedRevocation
from connections.states import ConnectionState, reason_for


def _why(state: str, code: str) -> str:
    text = reason_for(code, broker="the broker").text or ConnectionState(state).label
    return text[:1].upper() + text[1:]


def _failing() -> Sequence[Pile]:
    return by_reason(
        Connection.objects.failing(),
        "state",
        "reason_code",
        words=_why,
        link=lambda state, code: list_of(Connection, state__exact=state, reason_code=code),
    )


def _not_ended() -> Sequence[Pile]:
    return by_reason(
        UnfinishedRevocation.objects.exclude(gave_up_at=None),
        "broker",
        words=lambda broker: f"{broker.capitalize()}: its owner has to end it there",
        link=lambda broker: list_of(UnfinishedRevocation, broker__exact=broker, gave_up_at__isnull=False),
    )


def _told(event: ConnectionEvent) -> str:
    return f"{event.connection.label}, by {event.actor or 'the hub'}"


desk.watch(
    Attention(
        title="Failing connections",
        advice="Sign-ins are their owners' to renew; refusals of our own app and unknown answers are ours to mend.",
        permission="connections.view_connection",
        piles=_failing,
        tone="bad",
        everything="/admin/connections/connection/",
    ),
    Attention(
        title="Access that could not be ended",
        advice="The hub has deleted its keys. Help the owner to end the access on the broker's page.",
        permission="connections.view_unfinishedrevocation",
        piles=_not_ended,
    ),
)
desk.search(
    Source(
        title="Events of connections",
        permission="connections.view_connectionevent",
        find=rows_of(ConnectionEvent, "created_at", "connection", "actor", detail=_told),
    )
)
