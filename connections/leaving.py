"""Leaving a broker: what would go, what goes, and the receipt."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction

from brokerhub.kernel.errors import HubError, NotAllowed
from brokerhub.kernel.models import User
from connections import signals
from connections.brokers import BROKERS
from connections.brokers.records import AuthMethod
from connections.credentials import CredentialsUnreadable
from connections.models import Connection, UnfinishedRevocation
from connections.moves import move
from connections.revocation import Revocation, ends_trying_at, owe, settle
from connections.states import ConnectionState
from connections.tokens import HISTORY

log = structlog.get_logger(__name__)
S = ConnectionState
KEYS_DELETED = "The hub has deleted its keys. "  # how every `after_disconnect` begins


def left_to_do(connection: Connection) -> str:
    """What only the person can do at the broker, in sentences; asked before leaving. "" for accounts kept by file."""
    if connection.is_file:
        return ""
    sentences = BROKERS[AuthMethod(connection.method)].after_disconnect
    if connection.history_method:
        more = BROKERS[AuthMethod(connection.history_method)].after_disconnect
        sentences += " " + more.removeprefix(KEYS_DELETED)
    return sentences


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
    retry_until: datetime | None = None  # how long the hub goes on trying, if it has to


def disconnect(*, connection: Connection, actor: User, keep_history: bool = True) -> Receipt:
    """End the access at the broker where that is possible, delete the keys, keep the history read-only or erase it.

    Idempotent. What is left to do where a broker has no revocation, or it failed, is in `after_disconnect`.
    """
    rows, owed = _leave(connection, actor=actor, keep_history=keep_history)
    if isinstance(owed, Revocation):
        return Receipt(rows=rows, revocation=owed)
    outcome = settle(owed)  # after the transaction: no row is held while the broker answers
    retry_until = ends_trying_at(owed) if outcome is Revocation.RETRYING else None
    return Receipt(rows=rows, revocation=outcome, retry_until=retry_until)


def owed_for(connection: Connection) -> UnfinishedRevocation | Revocation:
    """The access that is now to be ended, stored; or why there is none."""
    if connection.is_file or not connection.sealed_credentials:
        return Revocation.NOT_OFFERED
    try:
        secrets = connection.read_credentials()
        secrets.pop(HISTORY, None)
        return owe(connection, secrets, app=connection.app) or Revocation.NOT_OFFERED
    except (CredentialsUnreadable, HubError) as error:
        log.warning("revocation_impossible", connection_id=str(connection.pk), error=type(error).__name__)
        return Revocation.FAILED


@transaction.atomic
def _leave(
    connection: Connection, *, actor: User, keep_history: bool
) -> tuple[dict[str, int], UnfinishedRevocation | Revocation]:
    signals.leaving.send(sender=Connection, connection=connection)
    try:  # a second click waits here and finds what the first has done
        connection.refresh_from_db(from_queryset=Connection.objects.select_for_update())
    except Connection.DoesNotExist:
        raise NotAllowed("This connection has been removed already.") from None
    counts, owed = disconnect_counts(connection), owed_for(connection)
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
    return counts, owed
