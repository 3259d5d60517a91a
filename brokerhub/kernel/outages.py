"""Which errors mean that a server of ours is away or has no room left, and what people are told then.

None of them is a mistake in the hub or in a request, so the same request has its chance a moment later.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import InterfaceError, OperationalError
from kombu.exceptions import OperationalError as QueueDown
from limits.errors import StorageError
from psycopg.errors import DiskFull
from redis.exceptions import RedisError

AWAY = (OperationalError, InterfaceError, RedisError, StorageError, QueueDown)
RETRY_AFTER = 10  # seconds: a server that is restarted is back by then
RETRY_AFTER_FULL = 60  # somebody has to make room first
UNAVAILABLE = "A part of the hub cannot be reached right now. Nothing is saved half. Try again in a moment."
NO_ROOM = (
    "The hub has no room left to store this, and nothing was saved. "
    "Whoever runs the hub has to make room; after that, try again."
)


def is_full(error: BaseException) -> bool:
    """Whether the error, or what caused it, says that a disk is full: ours, or PostgreSQL's."""
    return any(
        isinstance(each, DiskFull) or (isinstance(each, OSError) and each.errno in {errno.ENOSPC, errno.EDQUOT})
        for each in _causes(error)
    )


def told(error: BaseException) -> tuple[str, int] | None:
    """The sentence for people, and the seconds after which it is worth trying again; None for any other error."""
    if is_full(error):
        return NO_ROOM, RETRY_AFTER_FULL
    return (UNAVAILABLE, RETRY_AFTER) if isinstance(error, AWAY) else None


class NoRoom(Exception):
    """A disk is full. What was begun is undone, and can be done when somebody has made room."""


@contextmanager
def naming_no_room() -> Iterator[None]:
    """Raises NoRoom in place of whatever a full disk has raised."""
    try:
        yield
    except Exception as error:
        if is_full(error):
            raise NoRoom from error
        raise


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Each once: an error that is kept and raised again may be among its own causes."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__
