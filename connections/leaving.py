"""Leaving a broker: what would go, what goes, and the receipt."""

from dataclasses import dataclass
from typing import Any

import structlog
from django.db import transaction

from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from connections import signals
from connections.models import Connection
from connections.moves import move
from connections.revocation import Revocation, revoke
from connections.states import ConnectionState

log = structlog.get_logger(__name__)
S = ConnectionState


def disconnect_counts(connection: Connection) -> dict[str, int]:
    """What erasing would delete: {"transactions": 812, ...}."""
    return _erase_rows(connection, dry_run=True)


def _erase_rows(connection: Connection, *, dry_run: bool) -> dict[str, int]:
    counts = {"accounts": connection.accounts.count()}
    answers: list[tuple[Any, Any]] = signals.erasing.send(sender=Connection, connection=connection, dry_run=dry_run)
    for _receiver, counted in answers:
        counts.update(counted)
    return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a disconnect has done: rows kept or erased, and what became of the access at the broker."""

    rows: dict[str, int]
    revocation: Revocation


def disconnect(*, connection: Connection, actor: User, keep_history: bool = True) -> Receipt:
    """End the access at the broker where that is possible, delete the keys, keep the history read-only or erase it.

    Idempotent. What is left to do where a broker has no revocation, or it failed, is in `after_disconnect`.
    """
    revocation = revoke(connection)  # before the transaction: no row is held while the broker answers
    return Receipt(rows=_leave(connection, actor=actor, keep_history=keep_history), revocation=revocation)


@transaction.atomic
def _leave(connection: Connection, *, actor: User, keep_history: bool) -> dict[str, int]:
    signals.leaving.send(sender=Connection, connection=connection)
    try:  # a second click waits here and finds what the first has done
        connection.refresh_from_db(from_queryset=Connection.objects.select_for_update())
    except Connection.DoesNotExist:
        raise NotAllowed("This connection has been removed already.") from None
    counts = disconnect_counts(connection)
    if connection.state != S.DISCONNECTED:
        move(connection, S.DISCONNECTING, reason_code="by_user", action="disconnecting", actor=actor)
        connection.seal_credentials({})
        connection.access_expires_at = connection.authorization_expires_at = None
        connection.app, connection.history_method = None, ""
        connection.save(
            update_fields=[
                "sealed_credentials",
                "access_expires_at",
                "authorization_expires_at",
                "app",
                "history_method",
            ]
        )
        connection.authorizations.all().delete()
        move(connection, S.DISCONNECTED, reason_code="by_user", action="disconnected", actor=actor)
    if not keep_history:
        _erase_rows(connection, dry_run=False)
        log.info("connection_erased", connection_id=str(connection.pk), **counts)
        connection.delete()
    return counts
