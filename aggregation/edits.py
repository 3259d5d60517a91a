"""What a person does to a row: notes, tags, leaving it out, splitting it. It outlives every sync and every undo."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from aggregation import standing
from aggregation.ledger import hold
from aggregation.models import BookStatus, Source, Transaction, UserEdit
from aggregation.reconciliation import comparing
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User

LIVING = (BookStatus.POSTED, BookStatus.PENDING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a split row. `net_amount` and `quantity` are signed as the row's; None = no units."""

    net_amount: Decimal
    quantity: Decimal | None = None
    description: str = ""


@transaction.atomic
def annotate(row: Transaction, *, user: User, note: str | None = None, tags: Sequence[str] | None = None) -> UserEdit:
    """Set the note, the tags, or both; None leaves as is. Tags are kept once each, in their order."""
    edit = _edit(row, user)
    if note is not None:
        edit.note = note.strip()
    if tags is not None:
        edit.tags = list(dict.fromkeys(tag.strip()[:40] for tag in tags if tag.strip()))
    edit.save()
    return edit


@transaction.atomic
def exclude(row: Transaction, *, user: User) -> None:
    """Leave the row out of the books, and leave it out whatever is synced later. Raises NotAllowed."""
    hold(row.account)
    row.refresh_from_db()
    if row.status == BookStatus.SPLIT or row.part_of_id:
        raise NotAllowed("This row is split. Join its parts first, then exclude it.")
    if row.status not in LIVING:
        raise NotAllowed("This row does not count already.")
    edit = _edit(row, user)
    edit.is_excluded = True
    edit.save()
    _uphold(row)


@transaction.atomic
def bring_back(row: Transaction, *, user: User) -> None:
    """Count an excluded row again, with the status its source gave it. Raises NotAllowed."""
    hold(row.account)
    row.refresh_from_db()
    if row.status != BookStatus.EXCLUDED:
        raise NotAllowed("This row is not excluded.")
    edit = _edit(row, user)
    edit.is_excluded = False
    edit.save()
    Transaction.objects.filter(pk=row.pk).update(status=row.stated)
    _uphold(row)


@transaction.atomic
def split(row: Transaction, parts: Sequence[Part], *, user: User) -> list[Transaction]:
    """Let `parts` count in place of the row, which is kept. Raises NotAllowed when they do not add up to it."""
    hold(row.account)
    row.refresh_from_db()
    if row.status != BookStatus.POSTED or row.part_of_id:
        raise NotAllowed("Only a row that counts, and is no part itself, can be split.")
    if len(parts) < 2:
        raise NotAllowed("A split needs two parts or more.")
    if sum((part.net_amount for part in parts), Decimal(0)) != row.net_amount:
        raise NotAllowed(f"The parts do not add up to {row.net_amount.normalize():f} {row.currency}.")
    if sum((part.quantity or Decimal(0) for part in parts), Decimal(0)) != (row.quantity or 0):
        raise NotAllowed(f"The units of the parts do not add up to {(row.quantity or Decimal(0)).normalize():f}.")
    _edit(row, user).save()
    children = Transaction.objects.bulk_create(_part(row, part) for part in parts)
    _uphold(row)
    return children


@transaction.atomic
def join(row: Transaction, *, user: User) -> None:
    """Undo a split: the row counts itself again, its parts are kept as replaced. Raises NotAllowed."""
    hold(row.account)
    row.refresh_from_db()
    if row.status != BookStatus.SPLIT:
        raise NotAllowed("This row is not split.")
    row.parts.exclude(status=BookStatus.SUPERSEDED).update(status=BookStatus.SUPERSEDED, superseded_by=row)
    Transaction.objects.filter(pk=row.pk).update(status=row.stated)
    _edit(row, user).save()
    _uphold(row)


def _edit(row: Transaction, user: User) -> UserEdit:
    edit = UserEdit.objects.filter(transaction=row).first() or UserEdit(transaction=row, account=row.account)
    edit.edited_by = user
    return edit


def _part(row: Transaction, part: Part) -> Transaction:
    key = secrets.token_bytes(32)  # a part is known by itself: no source will ever tell it
    same: dict[str, Any] = {
        name: getattr(row, name)
        for name in ("account", "kind", "subtype", "traded_on", "settled_on", "occurred_at", "instrument", "currency")
    }
    return Transaction(
        **same,
        quantity=part.quantity,
        price=row.price if part.quantity else None,
        net_amount=part.net_amount,
        description=part.description or row.description,
        source=Source.MANUAL,
        content_key=key,
        fingerprint=key,
        part_of=row,
    )


def _uphold(row: Transaction) -> None:
    with connection.cursor() as cursor:
        standing.uphold(cursor, row.account_id)
    row.refresh_from_db()
    comparing.request([row.account_id])
