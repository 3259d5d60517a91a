"""Files on their way into the books: what a person said about one, drafts of imports, saved mappings of columns."""

import uuid
from datetime import timedelta
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from brokerhub.kernel.models import User
from sync.importers.base import Choices

KEPT = timedelta(days=1)  # how long a draft nobody touches stays
LOST = timedelta(minutes=10)  # the largest file takes a minute or two to check


class UploadedFile(models.Model):
    """A file as it came, and beside it what a person said about how to read it. The bytes are never changed."""

    name = models.CharField(max_length=255)
    format = models.CharField(max_length=40, blank=True)
    size = models.PositiveIntegerField(help_text="Bytes.")
    sha256 = models.CharField(max_length=64)
    content = models.BinaryField()
    choices = models.JSONField(default=dict, blank=True, help_text="Answers: date_order, decimal, delimiter, currency.")
    mapping = models.JSONField(null=True, blank=True, help_text="What the columns are; empty for a known format.")
    fixes = models.JSONField(default=dict, blank=True, help_text="{line: {number of the cell: its mended text}}")
    left_out = models.JSONField(default=list, blank=True, help_text="Lines of rows the person does not want.")

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name

    @property
    def said(self) -> Choices:
        return Choices(**self.choices)

    @property
    def mended(self) -> dict[int, dict[int, str]]:
        """Mended cells by line (from 1) and place in the row (from 0)."""
        return {int(line): {int(at): text for at, text in cells.items()} for line, cells in self.fixes.items()}


class DraftState(models.TextChoices):
    CHOOSING = "choosing", "Needs your answers"
    CHECKING = "checking", "Being checked"
    READY = "ready", "Ready to import"


class ImportDraftQuerySet(models.QuerySet["ImportDraft"]):
    def for_user(self, user: User) -> Self:
        return self.filter(user=user)

    def for_list(self) -> Self:
        return self.defer("content", "fixes", "left_out").order_by("-created_at")

    def abandoned(self) -> Self:
        return self.filter(touched_at__lt=timezone.now() - KEPT)

    def unchecked(self) -> Self:
        """Those whose check was asked for long ago and has not come: its message or its worker was lost."""
        return self.filter(state=DraftState.CHECKING, sent_at__lt=timezone.now() - LOST)


class ImportDraft(UploadedFile):
    """An upload that is looked at and is in no books yet. It belongs to one person and goes when left for a day."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="import_drafts")
    accounts = models.JSONField(
        default=dict, blank=True, help_text="{account as the file names it: {account: id} or {new: name}}"
    )
    state = models.CharField(max_length=10, choices=DraftState.choices, default=DraftState.CHOOSING)
    version = models.PositiveIntegerField(default=0, help_text="Counts changes; a check of an older one is dropped.")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Checks begun since the last change.")
    error = models.CharField(max_length=500, blank=True, help_text="Why the file cannot be read as it was said to be.")
    found = models.JSONField(
        default=dict, blank=True, help_text="What the check found: counts, warnings, skipped rows."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    touched_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ImportDraftQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["touched_at"], name="drafts_by_age")]

    @property
    def status(self) -> DraftState:
        return DraftState(self.state)


class RowState(models.TextChoices):
    """What would become of a row of a draft."""

    VALID = "valid", "New"
    WARNING = "warning", "New, worth a look"
    ERROR = "error", "Cannot be read"
    DUPLICATE = "duplicate", "Known already"
    POSSIBLE = "possible", "Possible duplicate"

    @property
    def tone(self) -> str:
        return {"valid": "good", "warning": "warn", "error": "bad", "possible": "warn"}.get(self.value, "quiet")


class DraftRow(models.Model):
    """One row of a draft's file as its last check saw it."""

    draft = models.ForeignKey(ImportDraft, on_delete=models.CASCADE, related_name="rows", db_index=False)
    line = models.PositiveIntegerField(help_text="Of the file, from 1, where the row begins.")
    account = models.CharField(max_length=200, blank=True, help_text="As the file names it.")
    state = models.CharField(max_length=10, choices=RowState.choices)
    is_left_out = models.BooleanField(default=False)
    notes = models.JSONField(default=list)
    records = models.JSONField(
        default=list, help_text="What is booked: date, kind, symbol, quantity, amount, currency."
    )
    resembles = models.JSONField(
        default=list, help_text="Rows of the books that may be the same event: their facts and the reasons."
    )
    word = models.CharField(max_length=200, blank=True, help_text="What the row calls itself, when nobody knows it.")
    text = models.CharField(max_length=300, blank=True, help_text="The row as it stands, where it cannot be read.")

    class Meta:
        ordering: ClassVar = ["line"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["draft", "line"], name="one_draft_row_per_line")
        ]

    def __str__(self) -> str:
        return f"Line {self.line}: {self.get_state_display()}"

    @property
    def status(self) -> RowState:
        return RowState(self.state)


class MappingTemplate(models.Model):
    """How a person's files with one header are to be read. Offered again when the same header comes."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="mappings")
    name = models.CharField(max_length=120)
    header = models.CharField(max_length=64, help_text="SHA-256 of the header's cells in any order.")
    mapping = models.JSONField()
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["user", "header"], name="one_mapping_per_header")
        ]

    def __str__(self) -> str:
        return self.name
