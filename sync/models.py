"""Runs, cursors, uploaded files and rows that wait for a rule."""

from datetime import datetime, timedelta
from typing import Any, ClassVar, Self
from uuid import UUID

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Case, F, Min, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from brokerhub.kernel import trace
from brokerhub.kernel.models import User
from connections.models import EPOCH, Account, Connection
from sync.feed_models import AccountFeed, TransactionChange
from sync.import_models import DraftRow, ImportDraft, MappingTemplate, UploadedFile
from sync.schedule_models import HistorySetting, Rhythm, Schedule, WordRule

__all__ = [
    "OPEN_STATES",
    "AccountFeed",
    "DraftRow",
    "HistorySetting",
    "ImportDraft",
    "ImportFile",
    "MappingTemplate",
    "Mode",
    "ParkedRow",
    "ParkedRowQuerySet",
    "Rhythm",
    "RunEntry",
    "RunState",
    "Schedule",
    "SyncCursor",
    "SyncRun",
    "SyncRunQuerySet",
    "TransactionChange",
    "Trigger",
    "Trouble",
    "WordRule",
]


class Trigger(models.TextChoices):
    MANUAL = "manual", "By hand"
    SCHEDULE = "schedule", "Scheduled"
    CONNECT = "connect", "After connecting"
    IMPORT = "import", "File"


class Mode(models.TextChoices):
    INITIAL = "initial", "First sync"
    INCREMENTAL = "incremental", "Update"
    RANGE = "range", "Chosen dates"
    BACKFILL = "backfill", "Whole history"
    REPAIR = "repair", "Compare with the broker"
    IMPORT = "import", "Import"


class RunState(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    WAITING = "waiting", "Waiting"
    SUCCEEDED = "succeeded", "Succeeded"
    PARTIAL = "partial", "Partly done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"

    @property
    def is_open(self) -> bool:
        return self in OPEN_STATES

    @property
    def tone(self) -> str:
        return {"succeeded": "good", "partial": "warn", "failed": "bad", "cancelled": "quiet"}.get(self.value, "wait")


class Trouble(models.TextChoices):
    """Why an open run does not get on."""

    NOT_STARTED = "not_started", "In the queue, and no worker takes it up"
    SILENT = "silent", "Its worker has gone silent"
    VAIN = "vain", "Starts again and again without getting further"
    LONG = "long", "Has been under way for more than a day"


STUCK = timedelta(minutes=10)
LONG = timedelta(days=1)
VAIN = 3  # starts since it last got further
OPEN_STATES = frozenset({RunState.QUEUED, RunState.RUNNING, RunState.WAITING})
AHEAD = timedelta(minutes=1)  # no two clocks of one hub differ by so much; what is later was written before a step back
SENT_HOLD = timedelta(minutes=5)  # a task message not taken up for so long counts as lost and is sent again


class SyncRunQuerySet(models.QuerySet["SyncRun"]):
    def for_user(self, user: User) -> Self:
        return self.filter(connection__user=user)

    def open(self) -> Self:
        return self.filter(state__in=OPEN_STATES)

    def waits_since(self) -> datetime | None:
        """When the oldest run was asked for that no worker has taken up though it may start; None without one."""
        waiting = self.due().filter(state=RunState.QUEUED).aggregate(since=Min("created_at"))
        since: datetime | None = waiting["since"]
        return since

    def troubled(self) -> Self:
        """Open runs that do not get on, with the `trouble` they are in."""
        now = timezone.now()
        trouble = Case(
            When(state=RunState.RUNNING, held_until__lt=now - STUCK, then=Value(Trouble.SILENT)),
            When(attempts__gte=VAIN, then=Value(Trouble.VAIN)),
            When(state=RunState.QUEUED, created_at__lt=now - STUCK, then=Value(Trouble.NOT_STARTED)),
            When(created_at__lt=now - LONG, then=Value(Trouble.LONG)),
            default=Value(""),
            output_field=models.CharField(),
        )
        return self.open().annotate(trouble=trouble).exclude(trouble="")

    def over(self) -> Self:
        return self.exclude(state__in=OPEN_STATES)

    def fetching(self) -> Self:
        """Runs that ask the broker; of these a connection has one open at a time."""
        return self.exclude(trigger=Trigger.IMPORT)

    def due(self) -> Self:
        """Open runs nobody holds: queued ones, waits that are over, and those whose worker died."""
        now = timezone.now()
        return self.open().filter(Q(wait_until=None) | Q(wait_until__lte=now), held_until__lt=now)

    def unsent(self) -> Self:
        """Due runs without a task message on its way."""
        return self.due().filter(sent_at__lt=timezone.now() - SENT_HOLD)

    def follow_clock(self, lease: timedelta) -> None:
        """After the clock was set back: nothing waits for an hour that it shows once more.

        A lease is cut to its usual length, which a living worker renews long before its end. What was sent counts as
        lost, as a message that comes twice does no harm, and what waits for its broker looks again at once.
        """
        now = timezone.now()
        self.open().filter(held_until__gt=now + 2 * lease).update(held_until=now + lease)
        self.open().filter(sent_at__gt=now + AHEAD).update(sent_at=EPOCH)
        since = RunEntry.objects.filter(run=OuterRef("pk")).order_by("-pk").values("at")[:1]
        waits = self.filter(state=RunState.WAITING, wait_until__gt=now).annotate(since=Subquery(since))
        waits.filter(since__gt=now + AHEAD).update(wait_until=now)

    def claim(self, run_id: int, *, holder: UUID, lease: timedelta) -> bool:
        """Take the run for `lease`; True for exactly one of all who try. One guarded UPDATE."""
        now = timezone.now()
        taken = (
            self.due()
            .filter(pk=run_id)
            .update(
                held_by=holder,
                held_until=now + lease,
                state=RunState.RUNNING,
                wait_until=None,
                wait_reason="",
                sent_at=EPOCH,
                attempts=F("attempts") + 1,
                started_at=Coalesce("started_at", Now()),
            )
        )
        return taken == 1

    def held(self, run_id: int, holder: UUID) -> Self:
        """The run while `holder` still has it: a worker that was cancelled or overtaken finds nothing here."""
        return self.filter(pk=run_id, held_by=holder, state=RunState.RUNNING)

    def for_list(self) -> Self:
        """With what a list shows; the content of files stays where it is."""
        return self.select_related("connection", "file").defer("file__content").order_by("-pk")

    def latest_per_connection(self) -> Self:
        """One run for each connection: its open one, for a request joins it, else the last."""
        return self.fetching().select_related("connection").order_by("connection_id", "-pk").distinct("connection_id")


class SyncRun(models.Model):
    """One fetch from a broker or one imported file, from request to result.

    Every row fetched has exactly one outcome: the database refuses counts that do not add up.
    """

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="runs")
    trigger = models.CharField(max_length=10, choices=Trigger.choices)
    mode = models.CharField(max_length=12, choices=Mode.choices)
    account = models.ForeignKey(
        Account, null=True, blank=True, on_delete=models.CASCADE, related_name="+", help_text="Empty: all of them."
    )
    from_on = models.DateField(null=True, blank=True, help_text="First day asked for; empty: as the mode says.")
    to_on = models.DateField(null=True, blank=True, help_text="Last day asked for; empty: today.")
    due_at = models.DateTimeField(null=True, blank=True, help_text="When the schedule wanted it to start.")
    state = models.CharField(max_length=10, choices=RunState.choices, default=RunState.QUEUED)
    wait_until = models.DateTimeField(null=True, blank=True)
    wait_reason = models.CharField(max_length=200, blank=True)
    step = models.CharField(max_length=120, blank=True, help_text="What it is doing, in words.")
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(null=True, blank=True, help_text="Empty until it is known.")
    fetched = models.PositiveIntegerField(default=0)
    inserted = models.PositiveIntegerField(default=0)
    matched = models.PositiveIntegerField(default=0)
    superseded = models.PositiveIntegerField(default=0)
    parked = models.PositiveIntegerField(default=0)
    rejected = models.PositiveIntegerField(default=0)
    parts = models.JSONField(
        default=dict, blank=True, help_text="{part: {state, detail, at}}; parts are accounts, holdings:7, ..."
    )
    spans = models.JSONField(
        default=dict, blank=True, editable=False, help_text="{account: [from, to]}: days read without a gap."
    )
    warnings = models.JSONField(default=list, blank=True)
    missing = models.JSONField(
        default=list, blank=True, help_text="Ids of booked transactions that the broker did not tell when compared."
    )
    error_code = models.CharField(max_length=40, blank=True)
    error = models.CharField(max_length=500, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Starts since the run last got further.")
    held_by = models.UUIDField(null=True, editable=False, help_text="Drawn anew by each worker that takes the run.")
    held_until = models.DateTimeField(default=EPOCH, editable=False, help_text="The worker's lease.")
    sent_at = models.DateTimeField(default=EPOCH, editable=False, help_text="When a task message was sent for it.")
    line = models.CharField(max_length=60, blank=True, editable=False, help_text="Budget at which it waits its turn.")
    in_turn = models.BooleanField(default=False, editable=False)
    turn_at = models.DateTimeField(null=True, editable=False, help_text="When it last got a turn.")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    request_id = trace.field()
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    undone_at = models.DateTimeField(null=True, blank=True, help_text="When its person took it back; empty: it counts.")

    objects = SyncRunQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(fetched=F("inserted") + F("matched") + F("superseded") + F("parked") + F("rejected")),
                name="nothing_vanishes",
            ),
            models.UniqueConstraint(
                fields=["connection"],
                condition=Q(state__in=["queued", "running", "waiting"]) & ~Q(trigger="import"),
                name="one_open_run_per_connection",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["connection", "-created_at"]),
            models.Index(
                fields=["held_until"], condition=Q(state__in=["queued", "running", "waiting"]), name="open_runs"
            ),
            models.Index(fields=["line", "turn_at"], condition=~Q(line=""), name="turns_of_a_line"),
            trace.index("runs_by_request"),
            models.Index(fields=["finished_at"], condition=Q(state="failed"), name="failed_runs"),
        ]

    def __str__(self) -> str:
        return f"Run {self.pk}: {self.get_state_display()}"

    @property
    def status(self) -> RunState:
        return RunState(self.state)

    @property
    def is_open(self) -> bool:
        return self.status.is_open

    @property
    def is_import(self) -> bool:
        return self.trigger == Trigger.IMPORT


class RunEntry(models.Model):
    """One line of a run's log: what it did, waited for or met, in words for people."""

    run = models.ForeignKey(SyncRun, on_delete=models.CASCADE, related_name="entries")
    text = models.CharField(max_length=400)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["id"]
        verbose_name_plural = "run entries"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.text}"


class SyncCursor(models.Model):
    """How far an account's transactions are in the books. Only `sync_service` moves it, together with the rows."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="cursor")
    covered_from = models.DateField()
    covered_to = models.DateField()
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.account}: {self.covered_from} to {self.covered_to}"


class ImportFile(UploadedFile):
    """An uploaded file, kept as it came so that its import can be explained and repeated."""

    run = models.OneToOneField(SyncRun, on_delete=models.CASCADE, related_name="file")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="files")
    hints = models.JSONField(
        null=True, blank=True, help_text="Whose rows are taken: accounts as the file names them; empty for all rows."
    )
    rule = models.ForeignKey(
        WordRule,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="reread",
        help_text="The rule for whose sake a file imported before was read again.",
    )


class ParkedRowQuerySet(models.QuerySet["ParkedRow"]):
    def for_user(self, user: User) -> Self:
        return self.filter(account__connection__user=user)

    def waiting(self) -> Self:
        """Not understood yet, and told by a run that was not taken back."""
        return self.filter(resolved_at=None, is_aside=False)

    def of_run(self, run: SyncRun) -> Self:
        """All the run told, also those that an earlier one told first."""
        return self.filter(account__connection=run.connection_id, told_by__contains=[run.pk])

    def for_list(self) -> Self:
        return self.select_related("account__connection").order_by("-pk")


class ParkedRow(models.Model):
    """A row no rule understands, in its raw form, with the reason; it waits here instead of vanishing."""

    run = models.ForeignKey(SyncRun, on_delete=models.CASCADE, related_name="parked_rows")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="parked_rows")
    external_id = models.CharField(max_length=120, blank=True)
    digest = models.CharField(max_length=64, help_text="SHA-256 of the raw row: the same row is parked once.")
    reason = models.CharField(max_length=300)
    raw = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)
    told_by = ArrayField(models.BigIntegerField(), default=list, editable=False, help_text="Runs that told it.")
    is_aside = models.BooleanField(default=False, help_text="All runs that told it were taken back.")
    resolved_at = models.DateTimeField(null=True, blank=True, help_text="When the row was understood and booked.")
    resolved_by = models.ForeignKey(
        SyncRun,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="The run whose row took its place.",
    )

    objects = ParkedRowQuerySet.as_manager()

    class Meta:
        ordering: ClassVar[list[str]] = ["-created_at", "-id"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(fields=["account", "digest"], name="a_row_is_parked_once")
        ]
        indexes: ClassVar = [
            models.Index(fields=["id"], condition=Q(resolved_at=None, is_aside=False), name="waiting_rows")
        ]

    def __str__(self) -> str:
        return f"{self.reason} ({self.external_id})" if self.external_id else self.reason

    @property
    def is_waiting(self) -> bool:
        return self.resolved_at is None and not self.is_aside
