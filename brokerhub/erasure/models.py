"""Accounts that are being deleted. The row goes last, together with its person."""

from datetime import timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from connections.models import EPOCH

LEASE = timedelta(minutes=10)  # longer than one connection takes; after it another worker goes on


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
