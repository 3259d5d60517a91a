"""Which connections are due for a sync by themselves, and what a person may choose about it."""

from datetime import datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Case, DateTimeField, Exists, ExpressionWrapper, F, IntegerField, OuterRef, Value, When
from django.utils import timezone

from brokerhub.kernel import trace
from brokerhub.kernel.errors import HubError, NotAllowed
from connections.models import Connection
from sync.models import Mode, Rhythm, Schedule, SyncCursor, SyncRun, Trigger
from sync.schedule_models import HOUR, LATE

PLAN_BATCH = 100  # a minute; a crowd that is due at once does not meet the broker's limits all at once


class BadSchedule(HubError):
    """The hours are not between one and a week."""

    code = "invalid_schedule"


def schedule_of(connection: Connection) -> Schedule:
    """The connection's schedule; the usual one is made when it has none yet. Raises NotAllowed for one kept by file."""
    if connection.is_file:
        raise NotAllowed("These accounts are kept by file; there is nobody to ask by itself.")
    schedule = Schedule.objects.filter(connection=connection).first()
    if schedule is None:
        Schedule.objects.bulk_create([_usual(connection, timezone.now())], ignore_conflicts=True)
        schedule = Schedule.objects.get(connection=connection)
    return schedule


def set_schedule(
    connection: Connection, *, rhythm: Rhythm, every_hours: int | None = None, daily_at: time | None = None
) -> Schedule:
    """Raises BadSchedule and, for a connection kept by file, NotAllowed."""
    schedule_of(connection)
    with transaction.atomic():
        schedule = Schedule.objects.select_for_update().get(connection=connection)
        schedule.rhythm = rhythm
        schedule.every_hours = schedule.every_hours if every_hours is None else every_hours
        schedule.daily_at = schedule.daily_at if daily_at is None else daily_at
        schedule.arm(timezone.now(), zone=connection.user.timezone)
        try:
            schedule.clean_fields(exclude=["connection"])
        except ValidationError as error:
            raise BadSchedule("Choose between 1 and 168 hours, which is a week.") from error
        schedule.save()
    return schedule


def rearm(connection: Connection) -> None:
    """After a sign-in, which brings its own sync, the next turn counts from now; those missed before are no delay."""
    for schedule in Schedule.objects.filter(connection=connection):
        schedule.arm(timezone.now(), zone=connection.user.timezone)
        schedule.save(update_fields=["zone", "next_at"])


def plan_due() -> int:
    """Queue a run for each connection whose turn has come, PLAN_BATCH at most; never read ones go first, then by turn.

    Two planners at once take different rows (SKIP LOCKED); the unique constraint has the last word. A connection with
    an open run is served by it. One that is not signed in keeps its turn until it is.
    """
    now = timezone.now()
    _give_schedules(now)
    _follow_clocks(now)
    _follow_step_back(now)
    runs = SyncRun.objects.fetching().filter(connection=OuterRef("connection"))
    with transaction.atomic():
        due: list[Any] = list(  # with what is annotated
            Schedule.objects.filter(next_at__lte=now, connection__in=Connection.objects.syncable())
            .annotate(
                is_busy=Exists(runs.open()),
                was_read=Exists(runs),
                known=Exists(SyncCursor.objects.filter(account__connection=OuterRef("connection"))),
            )
            .select_related("connection__user")
            .order_by("was_read", "next_at", "pk")
            .select_for_update(skip_locked=True, of=("self",), no_key=True)[:PLAN_BATCH]
        )
        planned = [
            SyncRun(
                connection_id=schedule.connection_id,
                trigger=Trigger.SCHEDULE,
                mode=Mode.INCREMENTAL if schedule.known else Mode.INITIAL,
                due_at=schedule.next_at,
                request_id=trace.new(),  # each its own: the planner's is that of a hundred connections
            )
            for schedule in due
            if not schedule.is_busy
        ]
        SyncRun.objects.bulk_create(planned, ignore_conflicts=True)
        for schedule in due:
            schedule.arm(now, zone=schedule.connection.user.timezone)
        Schedule.objects.bulk_update(due, ["zone", "next_at"])
    return len(planned)


def is_late(run: SyncRun) -> bool:
    """Whether the schedule wanted it more than LATE before it started, or before now."""
    return run.due_at is not None and (run.started_at or run.finished_at or timezone.now()) - run.due_at > LATE


def _give_schedules(now: datetime) -> None:
    """A connection without a schedule gets the usual one; its first turn is now when it was not read for long."""
    new = Connection.objects.by_api().open().filter(schedule=None).select_related("user")
    Schedule.objects.bulk_create([_usual(connection, now) for connection in new], ignore_conflicts=True)


def _usual(connection: Connection, now: datetime) -> Schedule:
    """Every SYNC_INTERVAL. What has not been read for so long is due at once."""
    hours = max(1, round(settings.SYNC_INTERVAL / HOUR))
    schedule = Schedule(connection=connection, rhythm=Rhythm.INTERVAL, every_hours=min(hours, 168))
    schedule.arm(now, zone=connection.user.timezone)
    recent = connection.runs.fetching().filter(finished_at__gt=now - timedelta(hours=schedule.every_hours))
    if not recent.exists():
        schedule.next_at = now
    return schedule


def _follow_step_back(now: datetime) -> None:
    """A turn that is further off than the schedule ever makes one was reckoned before the clock was set back."""
    usual = (When(rhythm=Rhythm.HOURLY, then=1), When(rhythm=Rhythm.DAILY, then=26))
    hours = Case(*usual, default=F("every_hours"), output_field=IntegerField())
    latest = ExpressionWrapper(Value(now) + hours * Value(HOUR), output_field=DateTimeField())
    for schedule in Schedule.objects.filter(next_at__gt=latest).select_related("connection__user")[:PLAN_BATCH]:
        schedule.arm(now, zone=schedule.connection.user.timezone)
        schedule.save(update_fields=["zone", "next_at"])


def _follow_clocks(now: datetime) -> None:
    """A person who moved to another time zone means seven o'clock there."""
    moved = Schedule.objects.filter(rhythm=Rhythm.DAILY).exclude(zone=F("connection__user__timezone"))
    for schedule in moved.select_related("connection__user")[:PLAN_BATCH]:
        schedule.arm(now, zone=schedule.connection.user.timezone)
        schedule.save(update_fields=["zone", "next_at"])
