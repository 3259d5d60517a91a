"""Endpoints, the events of which they are told, and each event's way to each endpoint."""

import uuid
from datetime import datetime, timedelta
from typing import ClassVar, Self
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from brokerhub.kernel.models import User
from brokerhub.webhooks.event_types import EventType
from connections import credentials
from connections.models import EPOCH
from connections.rotation import SealedColumn


class State(models.TextChoices):
    ON = "on", "On"
    OFF = "off", "Off"
    SWITCHED_OFF = "switched_off", "Switched off by the hub"

    @property
    def tone(self) -> str:
        return {"on": "good", "off": "quiet", "switched_off": "bad"}[self.value]


class OffReason(models.TextChoices):
    NONE = "", ""
    GONE = "gone", "It answered that it is gone for good (410)."
    FAILING = "failing", "Nothing could be delivered to it for days."


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    def for_user(self, user: User) -> Self:
        return self.filter(user=user)

    def on(self) -> Self:
        return self.filter(state=State.ON)

    def switched_off(self) -> Self:
        """By the hub, so that its owner has to see to it."""
        return self.filter(state=State.SWITCHED_OFF)

    def failing(self) -> Self:
        """On, and the last attempt came to nothing."""
        return self.on().exclude(failing_since=None)

    def wanting(self, event_type: str) -> Self:
        """Those that are told of it; who has chosen nothing hears everything."""
        return self.on().filter(Q(events=[]) | Q(events__contains=[event_type]))

    def with_work(self, now: datetime) -> Self:
        """Those for which a delivery is due, and which nobody serves at the moment."""
        due = Delivery.objects.due(now).filter(endpoint=OuterRef("pk"))
        return self.filter(Exists(due), held_until__lte=now, paused_until__lte=now)


class Endpoint(models.Model):
    """An address of somebody's program, and what it wants to be told."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="webhooks")
    url = models.CharField("address", max_length=500)
    description = models.CharField(max_length=120, blank=True)
    events = ArrayField(
        models.CharField(max_length=40, choices=EventType.choices),
        default=list,
        blank=True,
        help_text="Empty: all, also those that are added later.",
    )
    state = models.CharField(max_length=12, choices=State.choices, default=State.ON)
    off_reason = models.CharField(max_length=10, choices=OffReason.choices, blank=True)
    off_at = models.DateTimeField(null=True, blank=True)
    notice_due = models.BooleanField(default=False, editable=False, help_text="Its owner has yet to be mailed.")
    sealed_secrets = models.BinaryField(default=b"", editable=False)
    old_secret_ends_at = models.DateTimeField(
        null=True, blank=True, help_text="Until when it is signed with the secret before, too."
    )
    failing_since = models.DateTimeField(null=True, blank=True, help_text="The first failure after the last success.")
    last_success_at = models.DateTimeField(null=True, blank=True)
    held_until = models.DateTimeField(default=EPOCH, editable=False, help_text="The lease of its worker.")
    paused_until = models.DateTimeField(default=EPOCH, editable=False, help_text="It is under load, as it said itself.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = EndpointQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["created_at", "id"]
        indexes: ClassVar = [models.Index(fields=["user", "state"], name="webhooks_of_a_person")]

    def __str__(self) -> str:
        return self.description or urlsplit(self.url).netloc

    def __repr__(self) -> str:
        return f"<Endpoint {self.id} {self.state}>"

    @property
    def is_failing(self) -> bool:
        """On, and the last attempt came to nothing."""
        return self.is_on and self.failing_since is not None

    @property
    def status(self) -> State:
        return State(self.state)

    @property
    def is_on(self) -> bool:
        return self.state == State.ON

    @property
    def hears_all(self) -> bool:
        return not self.events

    @property
    def seal_owner(self) -> str:
        return f"webhook:{self.id}"

    def read_secrets(self, now: datetime) -> list[str]:
        """The live ones, newest first. Raises CredentialsUnreadable."""
        kept = credentials.unseal(bytes(self.sealed_secrets), owner=self.seal_owner)
        is_overlap = self.old_secret_ends_at is not None and self.old_secret_ends_at > now
        return [kept["current"], *([kept["old"]] if kept["old"] and is_overlap else [])]

    def seal_secrets(self, current: str, old: str = "") -> None:
        """Put them into the unsaved row."""
        self.sealed_secrets = credentials.seal({"current": current, "old": old}, owner=self.seal_owner)


SEALED = SealedColumn(
    name="Webhook secrets", model=Endpoint, column="sealed_secrets", owner=lambda endpoint: endpoint.seal_owner
)


class EventQuerySet(models.QuerySet["Event"]):
    def unnumbered(self) -> Self:
        """Those that happened, and that no delivery exists for yet."""
        return self.filter(number=None).order_by("pk")


class Event(models.Model):
    """Something that happened, written in the transaction in which it did.

    It gets its number afterwards: one after the other, in the order in which events became visible. To count inside
    the transactions themselves would make everything that happens to a person wait for everything else.
    """

    key = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="webhook_events")
    type = models.CharField(max_length=40)
    number = models.BigIntegerField(null=True, blank=True, help_text="Later events of a person have greater ones.")
    data = models.JSONField()
    occurred_at = models.DateTimeField(default=timezone.now)
    only_for = models.ForeignKey(
        Endpoint, null=True, blank=True, on_delete=models.CASCADE, related_name="+", help_text="Of a test."
    )

    objects = EventQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "number"], name="one_event_per_number")]
        indexes: ClassVar = [
            models.Index(fields=["id"], condition=Q(number=None), name="unnumbered_events"),
            models.Index(fields=["occurred_at"], name="webhook_events_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.type} ({self.public_id})"

    @property
    def public_id(self) -> str:
        """The `webhook-id`: the same however often it is sent, and without the full stop that parts what is signed."""
        return f"evt_{self.key.hex}"


class EventCounter(models.Model):
    """The number of a person's last event."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE, related_name="+")
    last = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.user_id}: {self.last}"


class Kind(models.TextChoices):
    EVENT = "event", "Event"
    RESEND = "resend", "Sent again"
    TEST = "test", "Test"


class DeliveryState(models.TextChoices):
    PENDING = "pending", "Waiting"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Failed"

    @property
    def tone(self) -> str:
        return {"pending": "wait", "delivered": "good", "failed": "bad"}[self.value]


class DeliveryLogQuerySet(models.QuerySet["Delivery"]):
    def for_user(self, user: User) -> Self:
        return self.filter(endpoint__user=user)

    def pending(self) -> Self:
        return self.filter(state=DeliveryState.PENDING)

    def ended(self) -> Self:
        return self.exclude(state=DeliveryState.PENDING)

    def due(self, now: datetime) -> Self:
        """To be sent now. To an endpoint that is off only tests go, also when something was left waiting for it."""
        may_be_sent = Q(endpoint__state=State.ON) | Q(kind=Kind.TEST)
        return self.pending().filter(may_be_sent, next_attempt_at__lte=now)

    def left_over(self) -> Self:
        """What waits though its endpoint is off: it was written in the moment in which somebody switched it off."""
        return self.pending().exclude(endpoint__state=State.ON).exclude(kind=Kind.TEST)

    def for_list(self) -> Self:
        return self.select_related("event").order_by("-pk")


class Delivery(models.Model):
    """An event's way to one endpoint: how often it was tried, and what came back the last time."""

    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="deliveries")
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="deliveries")
    kind = models.CharField(max_length=6, choices=Kind.choices, default=Kind.EVENT)
    state = models.CharField(max_length=10, choices=DeliveryState.choices, default=DeliveryState.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True, default=timezone.now)
    last_attempt_at = models.DateTimeField(null=True, blank=True)
    response_status = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Empty: it did not answer.")
    response_text = models.CharField(max_length=500, blank=True, help_text="How the answer began.")
    error = models.CharField(max_length=200, blank=True)
    duration_ms = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = DeliveryLogQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name_plural = "deliveries"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["event", "endpoint"], condition=Q(kind=Kind.EVENT), name="each_event_once_per_endpoint"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["endpoint", "-id"], name="deliveries_newest_first"),
            models.Index(
                fields=["endpoint", "next_attempt_at"],
                condition=Q(state=DeliveryState.PENDING),
                name="deliveries_that_wait",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event.type}: {self.get_state_display()}"

    @property
    def status(self) -> DeliveryState:
        return DeliveryState(self.state)

    @property
    def is_under_way(self) -> bool:
        """Worth looking again in a moment: it has not been tried, or soon is."""
        soon = timezone.now() + timedelta(seconds=30)
        return self.state == DeliveryState.PENDING and (self.next_attempt_at or soon) <= soon


class ToldChange(models.Model):
    """How far into the feed of an account's transactions its owner's programs were told."""

    account_id = models.BigIntegerField(primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    seq = models.BigIntegerField()

    def __str__(self) -> str:
        return f"account {self.account_id}: {self.seq}"
