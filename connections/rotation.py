"""Moving stored sign-ins to a new key while the hub is at work."""

import time
from dataclasses import dataclass

import structlog
from django.utils import timezone

from connections.credentials import CredentialsUnreadable, rewrapped
from connections.models import Connection

log = structlog.get_logger(__name__)
PASSES, PAUSE_SECONDS = 60, 2.0  # a renewal holds its row for two minutes at most


@dataclass(slots=True)
class Rotation:
    """How many secrets were moved, stood under the new key already, or can be read with none of the keys."""

    moved: int = 0
    current: int = 0
    unreadable: int = 0


def rotate_connections() -> Rotation:
    """Put every connection's sign-in under the first of CREDENTIALS_KEYS. Safe to repeat and to run beside renewals.

    A row that is being renewed is left alone until that is over: its new sign-in is saved only over the bytes the
    renewal has read, and must not be lost. Raises TimeoutError when a row stays held.
    """
    result = Rotation()
    waiting = list(Connection.objects.exclude(sealed_credentials=b"").values_list("pk", flat=True))
    for _ in range(PASSES):
        waiting = [pk for pk in waiting if not _rotate(Connection.objects.filter(pk=pk).first(), result)]
        if not waiting:
            return result
        time.sleep(PAUSE_SECONDS)
    raise TimeoutError(f"{len(waiting)} sign-ins are still being renewed")


def _rotate(connection: Connection | None, result: Rotation) -> bool:
    """True when this row needs no further visit."""
    if connection is None or not connection.sealed_credentials:
        return True
    old = bytes(connection.sealed_credentials)
    try:
        new = rewrapped(old, owner=connection.seal_owner)
    except CredentialsUnreadable as error:
        log.error("credentials_unreadable", connection_id=str(connection.pk), why=str(error))
        result.unreadable += 1
        return True
    if new is None:
        result.current += 1
        return True
    free = Connection.objects.filter(pk=connection.pk, sealed_credentials=old, refresh_held_until__lt=timezone.now())
    moved = free.update(sealed_credentials=new)
    result.moved += moved
    return bool(moved)
