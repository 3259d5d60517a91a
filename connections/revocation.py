"""Handing access back to its broker, where the broker has a way for that: at once, else again and again for a day.

What is to be ended is stored, sealed, in the transaction that deletes the connection's own secrets, and the broker is
asked afterwards. So nothing is forgotten whenever a process dies, and no transaction is open while the broker answers.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import structlog
from django.conf import settings
from django.utils import timezone

from brokerhub.kernel.errors import HubError, NotAllowed
from brokerhub.kernel.models import User
from connections import app_keys, credentials
from connections.app_models import UnfinishedRevocationQuerySet
from connections.brokers import BROKERS
from connections.brokers.base import BrokerUnavailable, Grant, NeedsReauth, Refused, Revokes
from connections.brokers.records import AuthMethod
from connections.models import AppCredentials, Connection, UnfinishedRevocation

log = structlog.get_logger(__name__)

FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)  # each as long again as the one before
GOES_ON_FOR = timedelta(hours=24)
UNDER_WAY = timedelta(minutes=2)  # longer than one try may take: so long nobody else takes it up


class Revocation(StrEnum):
    """What became of a connection's access at its broker."""

    NOT_OFFERED = "not_offered"
    DONE = "done"
    RETRYING = "retrying"
    FAILED = "failed"

    @property
    def words(self) -> str:
        return {
            "done": "Ended",
            "retrying": "Not ended yet: the hub tries again for a day",
            "failed": "Could not be ended from here",
        }.get(self.value, "")


# --- Owe it -----------------------------------------------------------------------------------------------------------


def owe(
    connection: Connection, secrets: Mapping[str, Any], *, app: AppCredentials | None
) -> UnfinishedRevocation | None:
    """Store that access given to `app` is to be ended; None where its broker has no way for that. Then call `settle`.

    Raises HubError when it cannot be ended from here.
    """
    if _way(AuthMethod(connection.method), app) is None:
        return None
    if connection.environment != settings.ENVIRONMENT:
        raise NotAllowed(f"This access belongs to the {connection.environment} environment.")
    owed = UnfinishedRevocation(
        user_id=connection.user_id,
        broker=connection.broker,
        method=connection.method,
        environment=connection.environment,
        app=app,
        label=connection.label,
        next_try_at=timezone.now() + UNDER_WAY,  # the caller's own try
    )
    owed.sealed_grant = credentials.seal(dict(secrets), owner=owed.seal_owner)
    owed.save()
    return owed


def _way(method: AuthMethod, app: AppCredentials | None) -> Revokes | None:
    """Raises NotConfigured."""
    way = BROKERS[method].sign_in(app_keys.stored_or_environment(method, app))
    return way if isinstance(way, Revokes) else None


# --- Settle it --------------------------------------------------------------------------------------------------------


def settle(owed: UnfinishedRevocation) -> Revocation:
    """Ask the broker once, unless somebody else is at it. Access that has ended before is as good as ended."""
    now = timezone.now()
    held = UnfinishedRevocation.objects.filter(pk=owed.pk, next_try_at=owed.next_try_at, gave_up_at=None)
    if not held.update(next_try_at=now + UNDER_WAY, attempts=owed.attempts + 1):
        return Revocation.RETRYING
    owed.next_try_at, owed.attempts = now + UNDER_WAY, owed.attempts + 1
    try:
        _revoke(owed)
    except NeedsReauth:
        pass  # the broker knows this access no more
    except (Refused, credentials.CredentialsUnreadable) as error:
        return _give_up(owed, error)
    except HubError as error:
        return _put_off(owed, error)
    owed.delete()
    log.info("access_ended", broker=owed.broker, method=owed.method)
    return Revocation.DONE


def _revoke(owed: UnfinishedRevocation) -> None:
    secrets = credentials.unseal(bytes(owed.sealed_grant), owner=owed.seal_owner)
    way = _way(AuthMethod(owed.method), owed.app)
    if way is None:
        raise Refused(f"{owed.get_broker_display()} has no way to end this access any more.")
    way.revoke(Grant(secrets=secrets, access_expires_at=owed.created_at, authorization_expires_at=None))


def ends_trying_at(owed: UnfinishedRevocation) -> datetime:
    return owed.created_at + GOES_ON_FOR


def _put_off(owed: UnfinishedRevocation, error: HubError) -> Revocation:
    wait = min(FIRST_WAIT * 2 ** (owed.attempts - 1), LONGEST_WAIT)
    asked = error.retry_at if isinstance(error, BrokerUnavailable) else None
    next_try_at = max(timezone.now() + wait, asked or owed.created_at)
    if next_try_at > ends_trying_at(owed):
        return _give_up(owed, error)
    log.warning("revocation_put_off", revocation_id=str(owed.pk), code=error.code, attempts=owed.attempts)
    UnfinishedRevocation.objects.filter(pk=owed.pk, gave_up_at=None).update(next_try_at=next_try_at)
    return Revocation.RETRYING


def _give_up(owed: UnfinishedRevocation, error: Exception) -> Revocation:
    """Delete the secret and keep the row, as a notice to the person; without a person there is nobody to read it."""
    log.warning("revocation_given_up", revocation_id=str(owed.pk), error=type(error).__name__, attempts=owed.attempts)
    if owed.user_id is None:
        owed.delete()
        return Revocation.FAILED
    UnfinishedRevocation.objects.filter(pk=owed.pk).update(sealed_grant=b"", gave_up_at=timezone.now())
    return Revocation.FAILED


def revoke_due() -> int:
    """Try again what is due; how many were ended. One failure does not stop the others."""
    due = UnfinishedRevocation.objects.filter(
        next_try_at__lte=timezone.now(), gave_up_at=None, environment=settings.ENVIRONMENT
    )
    ended, bugs = 0, []
    for owed in due.select_related("app"):
        try:
            ended += settle(owed) is Revocation.DONE
        except Exception as error:  # raised below, after the others have had their turn
            bugs.append(error)
    if bugs:
        raise ExceptionGroup("revocations failed in a way the hub does not know", bugs)
    return ended


# --- Show it ----------------------------------------------------------------------------------------------------------


def unfinished(user: User) -> UnfinishedRevocationQuerySet:
    """What of this person's access has not been ended yet, and what the hub has given up on."""
    return UnfinishedRevocation.objects.for_user(user)


def try_again(owed: UnfinishedRevocation) -> Revocation:
    """Now, because the person asked. Raises NotAllowed when the hub has given up, and so holds no key any more."""
    if owed.gave_up_at is not None:
        name = owed.get_broker_display()
        raise NotAllowed(f"The hub has given up and deleted its key. Please end the access on {name}'s own page.")
    return settle(owed)


def dismiss(owed: UnfinishedRevocation) -> None:
    """Take the notice away. Raises NotAllowed while the hub is still trying."""
    gone, _ = UnfinishedRevocation.objects.filter(pk=owed.pk).exclude(gave_up_at=None).delete()
    if not gone and UnfinishedRevocation.objects.filter(pk=owed.pk).exists():
        raise NotAllowed("The hub is still trying to end this access.")
