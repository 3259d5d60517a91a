"""An uploaded export on its way into an account: kept in pieces, so that no process ever holds all of it."""

import uuid
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from brokerhub.kernel.models import User


class ReadingState(models.TextChoices):
    WAITING = "waiting", "Being read"
    DONE = "done", "Read"
    REFUSED = "refused", "Refused"
    FAILED = "failed", "Failed"


class ExportReadingQuerySet(models.QuerySet["ExportReading"]):
    def for_user(self, user: User) -> Self:
        return self.filter(user=user)

    def waiting(self) -> Self:
        return self.filter(state=ReadingState.WAITING)


class ExportReading(models.Model):
    """One reading of an export. It waits until the transaction that reads it commits: a worker that dies leaves it
    waiting, and nothing of it in the account."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="export_readings")
    name = models.CharField(max_length=255)
    size = models.PositiveBigIntegerField(help_text="In bytes, zipped.")
    state = models.CharField(max_length=8, choices=ReadingState.choices, default=ReadingState.WAITING)
    rows = models.PositiveBigIntegerField(null=True, blank=True, help_text="How many came; empty until it is read.")
    error = models.CharField(max_length=300, blank=True, help_text="Why it was not read, in words for people.")
    tries = models.PositiveSmallIntegerField(default=0, help_text="Workers that began; one that dies leaves its try.")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ExportReadingQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user"], condition=Q(state=ReadingState.WAITING), name="one_export_is_read_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.get_state_display()}"

    @property
    def is_over(self) -> bool:
        return self.state != ReadingState.WAITING


class ExportPiece(models.Model):
    """Bytes of the zip; all pieces but the last are equally long. Gone as soon as the reading is over."""

    reading = models.ForeignKey(ExportReading, on_delete=models.CASCADE, related_name="pieces", db_index=False)
    number = models.PositiveIntegerField()
    content = models.BinaryField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["reading", "number"], name="one_export_piece_each")]

    def __str__(self) -> str:
        return f"{self.reading_id}: {self.number}"
