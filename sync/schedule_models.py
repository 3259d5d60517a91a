"""When connections are synced by themselves, and for how long a person keeps the logs of it."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, ClassVar, Self
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from brokerhub.kernel.models import User
from connections.brokers.records import Broker, TransactionKind
from connections.models import EPOCH, Connection

HOUR = timedelta(hours=1)
LATE = timedelta(minutes=5)  # a start is late after that; beat rings every minute, a free worker takes seconds


class Rhythm(models.TextChoices):
    OFF = "off", "Only by hand"
    HOURLY = "hourly", "Every hour"
    INTERVAL = "interval", "Every few hours"
    DAILY = "daily", "Once a day"


class ScheduleQuerySet(models.QuerySet["Schedule"]):
    def late(self) -> Self:
        """Their turn has come and gone though the connection could be synced."""
        return self.filter(next_at__lt=timezone.now() - LATE, connection__in=Connection.objects.syncable())


class Schedule(models.Model):
    """How often one connection is synced. `next_at` is null when it is never, by itself."""

    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, related_name="schedule")
    rhythm = models.CharField(max_length=10, choices=Rhythm.choices, default=Rhythm.INTERVAL)
    every_hours = models.PositiveSmallIntegerField(
        default=6, validators=[MinValueValidator(1), MaxValueValidator(168)], help_text="For every few hours."
    )
    daily_at = models.TimeField(default=time(7), help_text="For once a day; on the clock of the person.")
    zone = models.CharField(max_length=64, default="UTC", editable=False, help_text="In which next_at was reckoned.")
    next_at = models.DateTimeField(null=True, blank=True)
    paused_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since when an administrator has paused it; empty: it goes on."
    )

    objects = ScheduleQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["next_at"], condition=~Q(next_at=None), name="schedules_by_turn")]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(every_hours__range=(1, 168)), name="every_hours_up_to_a_week")
        ]

    def __str__(self) -> str:
        return f"{self.connection_id}: {self.words}"

    @property
    def words(self) -> str:
        if self.paused_at is not None:
            return "Paused by an administrator"
        if self.rhythm == Rhythm.INTERVAL:
            return "Every hour" if self.every_hours == 1 else f"Every {self.every_hours} hours"
        if self.rhythm == Rhythm.DAILY:
            return f"Every day at {self.daily_at:%H:%M}"
        return Rhythm(self.rhythm).label

    @property
    def is_overdue(self) -> bool:
        """Its turn has come and gone, and nobody has taken it up."""
        return self.next_at is not None and timezone.now() - self.next_at > LATE

    def turn_after(self, moment: datetime) -> datetime | None:
        """The first turn later than `moment`, in UTC; None when there is none."""
        if self.rhythm == Rhythm.OFF or self.paused_at is not None:
            return None
        if self.rhythm == Rhythm.DAILY:
            return _daily_turn(self.daily_at, ZoneInfo(self.zone), moment)
        every = HOUR if self.rhythm == Rhythm.HOURLY else HOUR * self.every_hours
        share = timedelta(seconds=self.connection_id.int % int(every.total_seconds()))
        return moment + every - (moment - EPOCH - share) % every

    def arm(self, moment: datetime, *, zone: str) -> None:
        """Reckon the next turn after `moment` anew; unsaved."""
        self.zone = zone
        self.next_at = self.turn_after(moment)


def _daily_turn(at: time, zone: ZoneInfo, moment: datetime) -> datetime:
    """The next time the clock of `zone` shows `at`. An hour that is skipped in spring counts as the one after it; of
    one that comes twice in autumn the first is taken, and the second is no other turn."""

    def on(day: date) -> datetime:
        return datetime.combine(day, at, zone).astimezone(UTC)

    today = moment.astimezone(zone).date()
    return next(turn for turn in map(on, (today, today + timedelta(days=1))) if turn > moment)


class HistorySetting(models.Model):
    """For how many days a person keeps logs of runs, and runs that brought nothing; no row, or null, is for ever."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    keep_days = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(7), MaxValueValidator(3650)]
    )

    def __str__(self) -> str:
        return f"{self.keep_days} days" if self.keep_days else "for ever"


class WordRuleQuerySet(models.QuerySet["WordRule"]):
    def for_user(self, user: User) -> Any:
        return self.filter(user=user)


class WordRule(models.Model):
    """A person's own rule: rows of a broker with this word are of this kind, always.

    One made from a row of the broker's feed names the field the word stands in, and is for the feed. One made from a
    row of a file has no field: it is for files of the house, and for the feed wherever a row of it has the word.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="word_rules")
    broker = models.CharField(max_length=20, choices=Broker.choices)
    institution = models.CharField(max_length=80, blank=True, help_text="Whose files, at another broker.")
    field = models.CharField(max_length=60, blank=True, help_text="Of the feed's rows; empty: wherever the word is.")
    word = models.CharField(max_length=200)
    kind = models.CharField(max_length=20, choices=TransactionKind.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = WordRuleQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["broker", "field", "word"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "broker", "institution", "field", "word"], name="one_kind_per_word")
        ]

    def __str__(self) -> str:
        return f"{self.word} is {self.kind}"
