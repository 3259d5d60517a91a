"""Grants: handing out the current one, renewing it once for all processes.

Single flight without a lock held over HTTP: one guarded UPDATE takes a lease on the row, the winner calls the broker
and saves what it gets before anybody uses it; the others watch the row until the new grant is there. What the winner
gets is saved only over the sign-in it renewed: a new sign-in, or none any more, always stands.

`refresh_held_until` is the lease and the memory of how the last renewal ended. In the future: a renewal is under way.
EPOCH: the stored grant is the last one the broker gave. In the past: a renewal was cut off, and nobody knows whether
the broker has given another one. If it refuses the stored one then, the renewal that was cut off is the reason.
"""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import DatabaseError, transaction
from django.db import connection as database
from django.utils import timezone

from brokerhub.kernel.errors import NotAllowed
from connections import app_keys, revocation
from connections.brokers import BROKERS, calls, surroundings
from connections.brokers.base import (
    AppCredentialsRefused,
    BrokerUnavailable,
    Grant,
    NeedsReauth,
    RateLimited,
    Refused,
    SignInsRefused,
)
from connections.brokers.records import AuthMethod, Broker
from connections.credentials import CredentialsUnreadable
from connections.models import EPOCH, Connection
from connections.moves import note_failure
from connections.states import ConnectionState

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=20)  # others wait so long for a process that died, and many a grace window is no longer
PROLONG_SECONDS = 5.0  # a lease is prolonged while its holder lives: a token call may take longer
WATCH_SECONDS = 125.0
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds between two looks at the row
RENEW_AHEAD = timedelta(minutes=5)
HISTORY = "history"  # in a connection's secrets: the keys by which its transactions are read, which no renewal touches
NOTHING_GIVEN = (
    AppCredentialsRefused,
    NotAllowed,
    RateLimited,
    Refused,
    SignInsRefused,
)  # the stored grant is as good as before


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


def _renewable(grant: Grant) -> dict[str, Any]:
    """The part of its secrets that a renewal replaces."""
    return {name: value for name, value in grant.secrets.items() if name != HISTORY}


def _is_held(connection: Connection | None, grant: Grant) -> bool:
    """Whether the row still holds the sign-in `grant` is from, not renewed since."""
    if connection is None:
        return False
    try:
        return _renewable(read_grant(connection)) == _renewable(grant)
    except NeedsReauth:
        return False


@dataclass(frozen=True, slots=True)
class StoredGrants:
    """The grants of one stored connection, for a BrokerSession. Reads the row each time: others may have renewed it."""

    connection_id: UUID

    def current(self) -> Grant:
        grant = read_grant(self._row())
        return grant if grant.access_expires_at > timezone.now() else self.renew(refused=grant)

    def renew(self, *, refused: Grant) -> Grant:
        """A grant other than `refused`: what another process has just saved, or a fresh one. Raises BrokerError."""
        give_up, pause = time.monotonic() + WATCH_SECONDS, FIRST_PAUSE
        while time.monotonic() < give_up:
            connection = self._row()
            grant = read_grant(connection)
            if _renewable(grant) != _renewable(refused):
                return grant
            if connection.status is ConnectionState.NEEDS_REAUTH:  # the broker has said no, and is not asked again
                raise NeedsReauth(connection.reason.text, reason_code=connection.reason_code)
            lease = _Lease.take(connection)
            if lease is not None:
                self._renew_holding(lease, refused)
                continue
            time.sleep(random.uniform(pause / 2, pause))  # nosec B311  # somebody else is at it; not all look at the same moment
            pause = min(pause * 1.5, LONGEST_PAUSE)
        raise BrokerUnavailable("Another process is still renewing this sign-in.")

    def _row(self) -> Connection:
        connection = Connection.objects.select_related("app").filter(pk=self.connection_id).first()
        if connection is None:
            raise NeedsReauth("This connection has been removed.", reason_code="not_signed_in")
        return connection

    def _renew_holding(self, lease: "_Lease", refused: Grant) -> None:
        """Renew and save. Leaves the row alone when it changed under the call: the caller reads what it holds now."""
        mark: datetime | None = None  # whatever ends the call now, its outcome is not known
        try:
            with lease.prolonged():
                mark = self._exchange(lease, refused)
        except NOTHING_GIVEN:
            mark = lease.before
            raise
        except NeedsReauth:
            mark = EPOCH
            raise
        finally:
            lease.give_back(timezone.now() if mark is None else mark)

    def _exchange(self, lease: "_Lease", refused: Grant) -> datetime:
        """The mark to leave behind. Raises BrokerError."""
        connection = self._row()
        if not _is_held(connection, refused):
            return lease.before
        grant = read_grant(connection)
        try:
            with calls.renewing(connection.pk):
                fresh = BROKERS[AuthMethod(connection.method)].sign_in(app_keys.of(connection)).refresh(grant)
        except NeedsReauth as error:
            surroundings.doubt(Broker(connection.broker), connection.pk, error)
            if lease.is_in_doubt and error.reason_code == "refresh_refused":
                error.reason_code = "renewal_interrupted"
            if self._note_refusal(error, of=grant):
                raise
            return EPOCH  # signed in again meanwhile, which ends the old refresh token
        if self._save(fresh, over=grant):
            log.info("access_renewed", connection_id=str(self.connection_id))
        else:
            log.info("access_renewed_in_vain", connection_id=str(self.connection_id))
            self._hand_back(fresh, connection)
        return EPOCH

    @transaction.atomic
    def _note_refusal(self, error: NeedsReauth, *, of: Grant) -> bool:
        """Before the lease is given back, so that of all who wait for it nobody asks again."""
        connection = Connection.objects.select_for_update().filter(pk=self.connection_id).first()
        if connection is None or not _is_held(connection, of):
            return False
        note_failure(connection, error)
        return True

    @transaction.atomic
    def _save(self, fresh: Grant, *, over: Grant) -> bool:
        connection = Connection.objects.select_for_update().filter(pk=self.connection_id).first()
        if connection is None or not _is_held(connection, over):
            return False
        kept = {name: value for name, value in connection.read_credentials().items() if name == HISTORY}
        connection.seal_credentials(fresh.secrets | kept)
        connection.access_expires_at = fresh.access_expires_at
        connection.save(update_fields=["sealed_credentials", "access_expires_at"])
        return True

    def _hand_back(self, fresh: Grant, connection: Connection) -> None:
        """The person has left meanwhile: nobody has use for what the broker has given. A new sign-in is left alone."""
        if Connection.objects.filter(pk=self.connection_id).exclude(sealed_credentials=b"").exists():
            return
        owed = revocation.owe(connection, fresh.secrets, app=connection.app)
        if owed is not None:
            revocation.settle(owed)


def follow_clock() -> None:
    """After the clock was set back: a lease whose holder has died ends as soon as ever. One who lives prolongs it."""
    now = timezone.now()
    Connection.objects.filter(refresh_held_until__gt=now + 2 * LEASE).update(refresh_held_until=now + LEASE)


@dataclass(slots=True)
class _Lease:
    """The right to renew one connection. It runs out by itself soon after the process that holds it has died."""

    connection_id: UUID
    until: datetime
    before: datetime  # the mark it replaced

    @classmethod
    def take(cls, connection: Connection) -> "_Lease | None":
        """None while somebody else has it, or was faster."""
        now, before = timezone.now(), connection.refresh_held_until
        lease = cls(connection.pk, until=now + LEASE, before=before)
        return lease if before < now and lease._swap(before, lease.until) else None

    @property
    def is_in_doubt(self) -> bool:
        """Whether the renewal before this one was cut off."""
        return self.before != EPOCH

    def give_back(self, mark: datetime) -> None:
        self._swap(self.until, mark)

    @contextmanager
    def prolonged(self) -> Iterator[None]:
        """Keeps the lease while the block runs, by a thread that ends with it, and with the process."""
        over = threading.Event()

        def prolong() -> None:
            while not over.wait(PROLONG_SECONDS):
                until = timezone.now() + LEASE
                try:
                    if not self._swap(self.until, until):
                        return  # it ran out before this, and somebody else has it
                    self.until = until
                except DatabaseError:
                    log.warning("lease_not_prolonged", connection_id=str(self.connection_id), exc_info=True)
                finally:
                    database.close()

        thread = threading.Thread(target=prolong, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _swap(self, held: datetime, until: datetime) -> bool:
        row = Connection.objects.filter(pk=self.connection_id, refresh_held_until=held)
        return row.update(refresh_held_until=until) == 1


@dataclass(frozen=True, slots=True)
class FreshGrant:
    """The grant of a sign-in just finished and not stored yet: it cannot be renewed."""

    grant: Grant

    def current(self) -> Grant:
        return self.grant

    def renew(self, *, refused: Grant) -> Grant:
        raise NeedsReauth("The broker refused a sign-in it has just given.", reason_code="access_refused")
