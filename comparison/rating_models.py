"""What users think of their brokers, what became of each opinion, and scores of others, which are kept apart."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import ClassVar, Self

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from brokerhub.kernel.models import User
from comparison.models import ComparisonBroker, Sourced
from connections.brokers.records import AuthMethod
from connections.models import Connection

LONGEST_TEXT = 2000
VERIFIED_FOR = timedelta(days=180)
ASPECTS = ("fees", "platform", "support", "reliability", "sync")


class RatingState(models.TextChoices):
    PENDING = "pending", "Waits to be checked"
    APPROVED = "approved", "Published"
    REJECTED = "rejected", "Not published"
    HIDDEN = "hidden", "Hidden"
    WITHDRAWN = "withdrawn", "Withdrawn"

    @property
    def tone(self) -> str:
        tones = {"pending": "wait", "approved": "good", "rejected": "bad", "hidden": "warn", "withdrawn": "quiet"}
        return tones[self.value]


def working_connections(
    user: "User | OuterRef", broker: "str | OuterRef", now: datetime
) -> models.QuerySet[Connection]:
    """Logins that reached the broker itself within the last 180 days. A file proves nothing: anybody may have one."""
    found = Connection.objects.filter(
        user=user, broker=broker, environment=settings.ENVIRONMENT, last_success_at__gte=now - VERIFIED_FOR
    )
    return found.exclude(method=AuthMethod.FILE)


class BrokerRatingQuerySet(models.QuerySet["BrokerRating"]):
    def for_user(self, user: User) -> Self:
        return self.filter(user=user)

    def published(self) -> Self:
        return self.filter(state=RatingState.APPROVED)

    def visible_to(self, user: User) -> Self:
        """What is published, and one's own."""
        return self.filter(Q(state=RatingState.APPROVED) | Q(user=user))

    def with_verified(self) -> Self:
        """`is_verified`: whether its author's connection works, or did within the last 180 days."""
        own = working_connections(OuterRef("user"), OuterRef("broker__key"), timezone.now())
        return self.annotate(is_verified=Exists(own))


def stars(**options: object) -> "models.PositiveSmallIntegerField[int, int]":
    return models.PositiveSmallIntegerField(validators=[MinValueValidator(1), MaxValueValidator(5)], **options)  # type: ignore[arg-type]


class BrokerRating(models.Model):
    """One person's opinion of one broker, 1 (worst) to 5. Erased with the person's account."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="broker_ratings")
    broker = models.ForeignKey(ComparisonBroker, on_delete=models.CASCADE, related_name="user_ratings")
    overall = stars()
    fees = stars(null=True, blank=True)
    platform = stars(null=True, blank=True)
    support = stars(null=True, blank=True)
    reliability = stars(null=True, blank=True)
    sync = stars(null=True, blank=True)
    text = models.TextField(max_length=LONGEST_TEXT, blank=True)
    shows_name = models.BooleanField(default=False)
    state = models.CharField(max_length=10, choices=RatingState.choices, default=RatingState.PENDING)
    reason = models.CharField(max_length=300, blank=True, help_text="Why it is not published; its author reads it.")
    written_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = BrokerRatingQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-written_at", "-pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "broker"], name="one_rating_per_user_and_broker"),
            *(
                models.CheckConstraint(
                    condition=Q(**{f"{name}__isnull": True}) | Q(**{f"{name}__range": (1, 5)}),
                    name=f"rating_{name}_1_to_5",
                )
                for name in ("overall", *ASPECTS)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.overall} of 5 for {self.broker}"

    @property
    def status(self) -> RatingState:
        return RatingState(self.state)

    @property
    def author(self) -> str:
        """The name when its author shows it; an e-mail address is never shown."""
        return self.user.name if self.shows_name and self.user.name else "A customer"


class RatingEvent(models.Model):
    """Append-only: who did what to a rating, and what it said from then on."""

    rating = models.ForeignKey(BrokerRating, on_delete=models.CASCADE, related_name="events")
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    action = models.CharField(max_length=12)
    reason = models.CharField(max_length=300, blank=True)
    said = models.JSONField(default=dict, blank=True, help_text="Stars and text, when they were written.")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.action}, {self.at:%Y-%m-%d %H:%M}"


class RatingReport(models.Model):
    """A reader's note that a published rating breaks the rules. One for each reader."""

    rating = models.ForeignKey(BrokerRating, on_delete=models.CASCADE, related_name="reports")
    reporter = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    reason = models.CharField(max_length=300)
    at = models.DateTimeField(auto_now_add=True)
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["rating", "reporter"], name="one_report_per_reader_and_rating")
        ]

    def __str__(self) -> str:
        return self.reason


class ScoreKind(models.TextChoices):
    VOTES = "votes", "Votes of users"
    EDITORIAL = "editorial", "Editors' score"


class ExternalRating(Sourced):
    """A score somebody else published, as they published it. Never part of the hub's own average."""

    broker = models.ForeignKey(ComparisonBroker, on_delete=models.CASCADE, related_name="external_ratings")
    publisher = models.CharField(max_length=80)
    kind = models.CharField(max_length=10, choices=ScoreKind.choices)
    value = models.DecimalField(max_digits=8, decimal_places=3)
    scale_min = models.DecimalField(max_digits=8, decimal_places=3)
    scale_max = models.DecimalField(max_digits=8, decimal_places=3)
    count = models.PositiveIntegerField(null=True, blank=True, help_text="Votes; empty for editors' scores.")

    class Meta:
        ordering: ClassVar = ["broker__name", "publisher", "-as_of"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["broker", "publisher", "as_of"], name="one_score_per_publisher_and_date"),
            models.CheckConstraint(
                condition=Q(scale_max__gt=models.F("scale_min"))
                & Q(value__gte=models.F("scale_min"))
                & Q(value__lte=models.F("scale_max")),
                name="score_within_its_scale",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.publisher}: {self.as_published}"

    @property
    def as_published(self) -> str:
        return f"{self.value.normalize():f} of {self.scale_max.normalize():f}"

    @property
    def of_five(self) -> Decimal:
        """On the hub's scale of 1 to 5."""
        return 1 + 4 * (self.value - self.scale_min) / (self.scale_max - self.scale_min)
