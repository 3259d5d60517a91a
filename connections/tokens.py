"""Grants: handing out the current one, renewing it once for all processes.

Single flight without a lock held over HTTP: one guarded UPDATE takes a lease on the row, the winner calls the broker
and saves what it gets before anybody uses it; the others watch the row until the new grant is there. What the winner
gets is saved only over the sign-in it renewed: a new sign-in, or none any more, always stands.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.utils import timezone

from connections import app_keys
from connections.brokers import BROKERS
from connections.brokers.base import BrokerUnavailable, Grant, NeedsReauth
from connections.brokers.records import AuthMethod
from connections.credentials import CredentialsUnreadable
from connections.models import EPOCH, Connection

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=120)  # longer than one token call may take
WATCH_SECONDS = 125.0
HISTORY = "history"  # in a connection's secrets: the keys by which its transactions are read, which no renewal touches
RENEW_AHEAD = timedelta(minutes=5)


def read_grant(connection: Connection) -> Grant:
    """The stored grant. Raises NeedsReauth when there is none, when it has run out, or when it cannot be read."""
    try:
        secrets = connection.read_credentials()
    except CredentialsUnreadable as error:
        log.error("credentials_unreadable", connection_id=str(connection.pk), why=str(error))
        raise NeedsReauth("The stored sign-in can no longer be read.", reason_code="credentials_unreadable") from error
    if not secrets or connection.access_expires_at is None:
        raise NeedsReauth("There is no sign-in for this connection.", reason_code="not_signed_in")
    ends = connection.authorization_expires_at
    if ends is not None and ends <= timezone.now():
        raise NeedsReauth("The sign-in has run out.", reason_code="authorization_expired")
    return Grant(secrets=secrets, access_expires_at=connection.access_expires_at, authorization_expires_at=ends)


@dataclass(frozen=True, slots=True)
class StoredGrants:
    """The grants of one stored connection, for a BrokerSession. Reads the row each time: others may have renewed it."""

    connection_id: UUID

    def current(self) -> Grant:
        grant = read_grant(self._row())
        return grant if grant.access_expires_at > timezone.now() else self.renew(refused=grant)

    def renew(self, *, refused: Grant) -> Grant:
        """A grant other than `refused`: what another process has just saved, or a fresh one. Raises BrokerError."""
        give_up = time.monotonic() + WATCH_SECONDS
        while time.monotonic() < give_up:
            connection = self._row()
            grant = read_grant(connection)
            if grant.secrets != refused.secrets:
                return grant
            lease = _take_lease(connection)
            if lease is None:
                time.sleep(0.2)  # somebody else is at it
            else:
                self._renew_holding(lease, refused)
        raise BrokerUnavailable("Another process is still renewing this sign-in.")

    def _row(self) -> Connection:
        connection = Connection.objects.select_related("app").filter(pk=self.connection_id).first()
        if connection is None:
            raise NeedsReauth("This connection has been removed.", reason_code="not_signed_in")
        return connection

    def _renew_holding(self, lease: datetime, refused: Grant) -> None:
        """Renew and save. Leaves the row alone when it changed under the call: the caller reads what it holds now."""
        try:
            connection = self._row()
            grant = read_grant(connection)
            if grant.secrets != refused.secrets:
                return
            read = Connection.objects.filter(pk=connection.pk, sealed_credentials=connection.sealed_credentials)
            try:
                grant = BROKERS[AuthMethod(connection.method)].sign_in(app_keys.of(connection)).refresh(grant)
            except NeedsReauth:
                if read.exists():
                    raise
                return  # signed in again meanwhile, which ends the old refresh token
            kept = {HISTORY: secrets[HISTORY]} if HISTORY in (secrets := connection.read_credentials()) else {}
            connection.seal_credentials(grant.secrets | kept)
            saved = read.update(
                sealed_credentials=connection.sealed_credentials, access_expires_at=grant.access_expires_at
            )
            log.info("access_renewed", connection_id=str(connection.pk), saved=bool(saved))
        finally:
            Connection.objects.filter(pk=self.connection_id, refresh_held_until=lease).update(refresh_held_until=EPOCH)


def _take_lease(connection: Connection) -> datetime | None:
    now = timezone.now()
    until = now + LEASE
    taken = Connection.objects.filter(pk=connection.pk, refresh_held_until__lt=now).update(refresh_held_until=until)
    return until if taken else None


@dataclass(frozen=True, slots=True)
class FreshGrant:
    """The grant of a sign-in just finished and not stored yet: it cannot be renewed."""

    grant: Grant

    def current(self) -> Grant:
        return self.grant

    def renew(self, *, refused: Grant) -> Grant:
        raise NeedsReauth("The broker refused a sign-in it has just given.", reason_code="access_refused")
