"""Moving stored secrets to a new key while the hub is at work."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import models, transaction

from connections.credentials import CredentialsUnreadable, rewrapped
from connections.models import AppCredentials, Authorization, Connection, UnfinishedRevocation

log = structlog.get_logger(__name__)
BATCH = 500  # rows locked at once, for some milliseconds
PASSES, PAUSE_SECONDS = 600, 0.1  # a row somebody else has locked is visited again, for a minute at most


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedColumn:
    """Where secrets lie, each sealed for its row."""

    name: str  # for people
    model: type[models.Model]
    column: str
    owner: Callable[[Any], str]


def _seal_owner(row: Any) -> str:
    return str(row.seal_owner)


SEALED = [
    SealedColumn(name="Sign-ins", model=Connection, column="sealed_credentials", owner=_seal_owner),
    SealedColumn(name="App keys", model=AppCredentials, column="sealed_values", owner=_seal_owner),
    SealedColumn(name="Access to be ended", model=UnfinishedRevocation, column="sealed_grant", owner=_seal_owner),
    SealedColumn(
        name="Sign-ins under way",
        model=Authorization,
        column="sealed_kept",
        owner=lambda row: str(row.key_digest),
    ),
]  # apps on the right add theirs when they start


@dataclass(slots=True)
class Rotation:
    """How many secrets were moved, stood under the new key already, or can be read with none of the keys."""

    moved: int = 0
    current: int = 0
    unreadable: int = 0


def rotate_all() -> dict[str, Rotation]:
    """Put every stored secret under the first of CREDENTIALS_KEYS; by name, what was done. Safe to repeat.

    Reads and renewals go on meanwhile: rows are locked in small batches, never one that somebody else has locked.
    Raises TimeoutError when a row stays locked.
    """
    return {sealed.name: _rotate(sealed) for sealed in SEALED}


def _rotate(sealed: SealedColumn) -> Rotation:
    result = Rotation()
    rows = sealed.model._default_manager.exclude(**{sealed.column: b""}).order_by("pk")
    waiting = list(rows.values_list("pk", flat=True))
    for _ in range(PASSES):
        done: set[Any] = set()
        for start in range(0, len(waiting), BATCH):
            done |= _rotate_batch(sealed, rows.filter(pk__in=waiting[start : start + BATCH]), result)
        left = [pk for pk in waiting if pk not in done]
        waiting = list(rows.filter(pk__in=left).values_list("pk", flat=True)) if left else []  # or deleted meanwhile
        if not waiting:
            return result
        time.sleep(PAUSE_SECONDS)
    raise TimeoutError(f"{len(waiting)} secrets stay locked ({sealed.name})")


@transaction.atomic
def _rotate_batch(sealed: SealedColumn, rows: models.QuerySet[Any], result: Rotation) -> set[Any]:
    """The rows that need no further visit."""
    locked = list(rows.select_for_update(skip_locked=True, no_key=True))
    moved = list(_rewrapped(sealed, locked, result))
    sealed.model._default_manager.bulk_update(moved, [sealed.column])
    result.moved += len(moved)
    return {row.pk for row in locked}


def _rewrapped(sealed: SealedColumn, rows: Iterable[Any], result: Rotation) -> Iterable[Any]:
    for row in rows:
        try:
            new = rewrapped(bytes(getattr(row, sealed.column)), owner=sealed.owner(row))
        except CredentialsUnreadable as error:
            log.error("secret_unreadable", of=sealed.model._meta.label, row=str(row.pk), why=str(error))
            result.unreadable += 1
            continue
        if new is None:
            result.current += 1
        else:
            setattr(row, sealed.column, new)
            yield row
