"""How a connection's state moves, and the trail that each move leaves. Nothing else writes a state."""

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from connections.brokers.base import (
    AppCredentialsRefused,
    BrokerError,
    BrokerUnavailable,
    NeedsReauth,
    RateLimited,
    Refused,
    SignInsRefused,
    UnderMaintenance,
)
from connections.models import Connection, ConnectionEvent
from connections.states import ConnectionState

log = structlog.get_logger(__name__)

EXPIRING_AHEAD = timedelta(hours=48)
S = ConnectionState


def note_success(
    connection: Connection,
    *,
    failing_parts: dict[str, dict[str, str]] | None = None,
    has_fetched: bool = True,
    until: datetime | None = None,
) -> None:
    """After a sync: connected, ending soon, or degraded with the parts that failed, which are tried again at `until`.

    `failing_parts` is {part: {"since": when it was last up to date, "reason": what went wrong}}. A run in which all
    failed is no update.
    """
    changes: dict[str, Any] = {"degraded_parts": failing_parts or {}}
    if has_fetched:
        changes["last_success_at"] = timezone.now()
    Connection.objects.filter(pk=connection.pk).update(**changes)
    connection.refresh_from_db()  # a sign-in during the sync has moved the end of its authorisation
    settle_working(connection, until=until)


def settle_working(connection: Connection, *, until: datetime | None = None) -> None:
    ends = connection.authorization_expires_at
    if connection.degraded_parts:
        settle(connection, S.DEGRADED, "parts_failing", until=until)
    elif ends is not None and ends - timezone.now() < EXPIRING_AHEAD:
        settle(connection, S.EXPIRING, "authorization_expiring", until=ends)
    else:
        settle(connection, S.CONNECTED, "")


def note_expiring(connection: Connection) -> None:
    """The sign-in ends soon: said in the state of a connection that otherwise works."""
    if connection.state == S.CONNECTED:
        settle(connection, S.EXPIRING, "authorization_expiring", until=connection.authorization_expires_at)


def note_reminder(connection: Connection) -> None:
    note(connection, "reminded", reason_code="authorization_expiring")


def note_failure(connection: Connection, error: BrokerError) -> None:
    """Show in the connection's state what a failed call means for it."""
    if isinstance(error, NeedsReauth):
        settle(connection, S.NEEDS_REAUTH, error.reason_code)
    elif isinstance(error, RateLimited):
        settle(connection, S.RATE_LIMITED, "rate_limit", until=error.retry_at)
    elif isinstance(error, UnderMaintenance):
        settle(connection, S.MAINTENANCE, "maintenance", until=error.retry_at)
    elif isinstance(error, SignInsRefused):
        settle(connection, S.ERROR, "sign_ins_refused", until=error.retry_at)
    elif isinstance(error, BrokerUnavailable):
        settle(connection, S.ERROR, "broker_unavailable", until=error.retry_at)
    elif isinstance(error, AppCredentialsRefused):
        settle(connection, S.ERROR, "app_credentials_refused")
    else:
        settle(connection, S.ERROR, "refused" if isinstance(error, Refused) else "unexpected_reply")


@transaction.atomic
def settle(connection: Connection, state: ConnectionState, reason_code: str, *, until: datetime | None = None) -> None:
    """Move after a call, unless the person has meanwhile disconnected or has to sign in: that stands."""
    locked = Connection.objects.select_for_update().filter(pk=connection.pk).first()
    if locked is None:
        log.info("connection_gone", connection_id=str(connection.pk), instead_of=state.value)
        return
    now_in = locked.status
    if now_in.may_become(state) and not (now_in is S.NEEDS_REAUTH or now_in is S.DISCONNECTED):
        move(connection, state, reason_code=reason_code, until=until, action="synced" if not reason_code else "failed")
    else:
        log.info("connection_state_kept", connection_id=str(connection.pk), state=now_in.value, instead_of=state.value)
        connection.refresh_from_db()


@transaction.atomic
def move(
    connection: Connection,
    state: ConnectionState,
    *,
    reason_code: str = "",
    until: datetime | None = None,
    action: str,
    actor: User | None = None,
) -> None:
    """Move to `state` if the table allows it, and write it down when anything changed. Raises NotAllowed."""
    locked = Connection.objects.select_for_update().get(pk=connection.pk)
    old = locked.status
    if not old.may_become(state):
        raise NotAllowed(f"A connection that is {old.label.lower()} cannot become {state.label.lower()}.")
    changed = (old, locked.reason_code) != (state, reason_code)
    if changed:
        locked.state, locked.reason_code, locked.state_since = state, reason_code, timezone.now()
    locked.state_until = until
    locked.save(update_fields=["state", "reason_code", "state_since", "state_until"])
    if changed:
        note(locked, action, actor=actor, from_state=old, to_state=state, reason_code=reason_code)
        log.info("connection_moved", connection_id=str(locked.pk), to_state=state.value, reason=reason_code)
    connection.refresh_from_db()


def note(connection: Connection, action: str, *, actor: User | None = None, **words: Any) -> None:
    ConnectionEvent.objects.create(connection=connection, action=action, actor=actor, **words)
