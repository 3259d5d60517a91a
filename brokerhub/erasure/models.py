"""Accounts that are being deleted, a row that goes last, with its person; and the receipts that have not left yet."""

import uuid
from datetime import timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from connections.models import EPOCH
from connections.rotation import SealedColumn

LEASE = timedelta(minutes=10)  # longer than one connection takes; after it another worker goes on
LONGEST_WAIT = timedelta(hours=1)  # between two attempts to send a receipt


class AccountDeletionQuerySet(models.QuerySet["AccountDeletion"]):
    def due(self) -> Self:
        return self.filter(held_until__lt=timezone.now()).order_by("requested_at")

    def claim(self, pk: int) -> bool:
        """Whether this worker may go on with it: nobody else does, or has been silent for too long."""
        return self.due().filter(pk=pk).update(held_until=timezone.now() + LEASE) == 1


class AccountDeletion(models.Model):
    """Asked for and not finished. What has been done so far stands here, as a worker may die in the middle."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="deletion")
    requested_at = models.DateTimeField(default=timezone.now)
    held_until = models.DateTimeField(default=EPOCH, editable=False)
    rows = models.JSONField(default=dict, help_text="What there was when it was asked for: {table: rows}.")
    access = models.JSONField(default=list, help_text="What became of each connection's access at its broker.")
    traces = models.JSONField(default=list, editable=False, help_text="Addresses and ids that must be nowhere after.")

    objects = AccountDeletionQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Deletion asked for {self.requested_at:%Y-%m-%d %H:%M}"


class DeletionReceiptQuerySet(models.QuerySet["DeletionReceipt"]):
    def due(self) -> Self:
        """Also what waits for longer than anything ever does: the clock was set back."""
        now = timezone.now()
        is_due = models.Q(next_at__lte=now) | models.Q(next_at__gt=now + 2 * LONGEST_WAIT)
        return self.filter(is_due).order_by("made_at")

    def claim(self, pk: uuid.UUID) -> bool:
        """Whether this worker may send it. One that dies is followed by another when the lease is over."""
        until = timezone.now() + LEASE
        return self.due().filter(pk=pk).update(next_at=until, attempts=models.F("attempts") + 1) == 1


class DeletionReceipt(models.Model):
    """A mail still owed to a person whom no other row knows any more. Made as they go, deleted once it has left."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    sealed_content = models.BinaryField(editable=False)  # a `receipts.Receipt`: nothing else here tells who it is for
    made_at = models.DateTimeField(default=timezone.now)
    next_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveSmallIntegerField(default=0)

    objects = DeletionReceiptQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Receipt made {self.made_at:%Y-%m-%d %H:%M}"

    @property
    def seal_owner(self) -> str:
        return f"receipt:{self.id}"


SEALED = SealedColumn(
    name="Receipts of deletions",
    model=DeletionReceipt,
    column="sealed_content",
    owner=lambda receipt: str(receipt.seal_owner),
)
