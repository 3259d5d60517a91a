"""When brokers plan to be away: windows, the feeds they come from, and who was told."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, ClassVar
from zoneinfo import ZoneInfo, available_timezones

from dateutil.rrule import rrulestr
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models

from brokerhub.kernel import addresses
from brokerhub.kernel.config import is_loopback
from connections.brokers.records import Broker

if TYPE_CHECKING:
    from dateutil.rrule import rrule, rruleset

LONGEST = timedelta(days=7)
MOST_OCCURRENCES = 2_000  # of one window in the time that is asked for


@dataclass(frozen=True, slots=True, order=True)
class Occurrence:
    """One time that a window is on. Holds what people are told, so that it can be kept in the cache."""

    starts_at: datetime
    ends_at: datetime
    broker: Broker
    title: str
    window_id: int
    pauses_syncs: bool
    is_routine: bool

    @property
    def key(self) -> str:
        """Its name for programs: the plan and when it begins."""
        return f"{self.window_id}-{self.starts_at:%Y%m%dT%H%MZ}"

    def is_on(self, now: datetime) -> bool:
        return self.starts_at <= now < self.ends_at


class MaintenanceFeed(models.Model):
    """A broker's published plan, read every hour. What it does not name any more is taken back."""

    class Kind(models.TextChoices):
        ICALENDAR = "icalendar", "iCalendar (.ics)"
        STATUSPAGE = "statuspage", "Statuspage (scheduled-maintenances.json)"

    broker = models.CharField(max_length=20, choices=Broker.choices)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    url = models.URLField(max_length=500)
    pauses_syncs = models.BooleanField(default=True, help_text="Syncs wait while one of its windows is on.")
    is_active = models.BooleanField(default=True)
    read_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=300, blank=True, help_text="Why it could not be read the last time.")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["broker", "url"], name="one_feed_per_address")]

    def __str__(self) -> str:
        return f"{self.get_broker_display()}: {self.url}"

    @property
    def is_in_sandbox(self) -> bool:
        return bool(settings.BROKERS_SANDBOX_URL) and is_loopback(self.url)

    def clean(self) -> None:
        """An operator enters the address, who may not be one to look at the network that the hub stands in."""
        try:
            addresses.parse(self.url, allow_private=self.is_in_sandbox)
        except addresses.AddressRefused as error:
            raise ValidationError({"url": str(error)}) from error


def check_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError("This is no time zone. Examples: America/New_York, Europe/Zurich, UTC.")


def check_repetition(text: str) -> None:
    if not text:
        return
    try:
        rule = rrulestr(text, dtstart=datetime(2026, 1, 1))  # noqa: DTZ001  # the zone's own clock, see occurrences
        next(iter(rule), None)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValidationError("This is no rule of RFC 5545. Example: FREQ=WEEKLY;BYDAY=SA") from error
    if any(word in text.upper() for word in ("SECONDLY", "MINUTELY", "HOURLY")):
        raise ValidationError("A window comes once a day at most.")


class MaintenanceWindow(models.Model):
    """A plan in the clock of the broker's own time zone: what starts at midnight does so in summer as in winter."""

    broker = models.CharField(max_length=20, choices=Broker.choices)
    title = models.CharField(max_length=200)
    details = models.TextField(blank=True, max_length=2_000)
    source = models.URLField(max_length=500, blank=True, help_text="Where the broker says so.")
    timezone = models.CharField(max_length=60, default="America/New_York", validators=[check_zone])
    starts_on = models.DateField(help_text="The day of the first time, in that time zone.")
    starts_time = models.TimeField(help_text="By the clock of that time zone.")
    lasts = models.DurationField(help_text="By the same clock, as HH:MM:SS.")
    repeats = models.CharField(
        max_length=300, blank=True, validators=[check_repetition], help_text="RRULE, such as FREQ=DAILY. Empty: once."
    )
    pauses_syncs = models.BooleanField(default=True, help_text="Syncs wait while it is on, and go on afterwards.")
    is_routine = models.BooleanField(default=False, help_text="Comes all the time: shown, but no mail about it.")
    is_active = models.BooleanField(default=True)
    key = models.SlugField(max_length=60, null=True, blank=True, unique=True, editable=False)  # of one that we ship
    feed = models.ForeignKey(
        MaintenanceFeed, on_delete=models.CASCADE, null=True, blank=True, editable=False, related_name="windows"
    )
    external_id = models.CharField(max_length=300, blank=True, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["feed", "external_id"],
                condition=models.Q(feed__isnull=False),
                name="one_window_per_entry_of_a_feed",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_broker_display()}: {self.title}"

    def clean(self) -> None:
        if not timedelta(0) < (self.lasts or LONGEST) <= LONGEST:  # a field that is wrong says so itself
            raise ValidationError({"lasts": "Between a second and seven days."})

    def occurrences(self, since: datetime, until: datetime) -> Iterator[Occurrence]:
        """The times it is on that touch `since`..`until`, in order.

        Start and end are both read off the wall clock: an hour that a change of the clocks adds or takes is in it.
        """
        # The hours a real broker keeps are shown in the sandbox too, but what stands in for it there is never away.
        pauses = self.pauses_syncs and not (self.key and settings.BROKERS_SANDBOX_URL)
        zone = ZoneInfo(self.timezone)
        first = datetime.combine(self.starts_on, self.starts_time)
        margin = timedelta(days=1)
        earliest = since.astimezone(zone).replace(tzinfo=None) - self.lasts - margin
        latest = until.astimezone(zone).replace(tzinfo=None) + margin
        for start in _starts(self.repeats, first, earliest, latest):
            starts_at = start.replace(tzinfo=zone).astimezone(UTC)
            ends_at = (start + self.lasts).replace(tzinfo=zone).astimezone(UTC)
            if ends_at > since and starts_at < until and ends_at > starts_at:
                yield Occurrence(starts_at, ends_at, Broker(self.broker), self.title, self.pk, pauses, self.is_routine)


def _starts(repeats: str, first: datetime, earliest: datetime, latest: datetime) -> list[datetime]:
    if not repeats:
        return [first]
    rule: rrule | rruleset = rrulestr(repeats, dtstart=first)
    return list(rule.between(earliest, latest, inc=True))[:MOST_OCCURRENCES]


class Moment(models.TextChoices):
    BEFORE = "before", "Announced"
    START = "start", "Begun"
    END = "end", "Over"


class NoticeChannel(models.TextChoices):
    EMAIL = "email", "E-mail"
    SIGNAL = "signal", "To the other parts of the hub"
    BANNER = "banner", "On a page, and put away"


class MaintenanceNotice(models.Model):
    """Somebody was told of one moment of one occurrence: the row is the memory that makes it once."""

    broker = models.CharField(max_length=20, choices=Broker.choices)
    title = models.CharField(max_length=200)
    starts_at = models.DateTimeField()
    moment = models.CharField(max_length=6, choices=Moment.choices)
    channel = models.CharField(max_length=6, choices=NoticeChannel.choices)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True)
    sent_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["broker", "title", "starts_at", "moment", "channel", "user"],
                nulls_distinct=False,
                name="told_once_per_moment_and_channel",
            )
        ]

    def __str__(self) -> str:
        return f"{self.title}, {self.get_moment_display().lower()}, {self.starts_at:%Y-%m-%d %H:%M}"


class AlertChoice(models.Model):
    """What a person wants to be told of planned maintenance at their brokers. Without a row: before it begins."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="alert_choice")
    mail_before = models.BooleanField("A day before", default=True)
    mail_start = models.BooleanField("When it begins", default=False)
    mail_end = models.BooleanField("When it is over", default=False)
    show_banner = models.BooleanField("On every page: a day before, while it is on and when it is over", default=True)

    def __str__(self) -> str:
        return f"Alerts of {self.user}"

    def wants(self, moment: Moment) -> bool:
        return bool(getattr(self, f"mail_{moment.value}"))


def once(broker: Broker, title: str, starts_at: datetime, ends_at: datetime, **fields: object) -> MaintenanceWindow:
    """A window that is on one time, not saved."""
    day: date = starts_at.astimezone(UTC).date()
    at: time = starts_at.astimezone(UTC).time()
    return MaintenanceWindow(
        broker=broker,
        title=title[:200],
        timezone="UTC",
        starts_on=day,
        starts_time=at,
        lasts=ends_at - starts_at,
        **fields,
    )
