"""Who told which rows, and what people decided about them."""

from typing import TYPE_CHECKING, ClassVar, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Exists, F, OuterRef, Prefetch, Q

from brokerhub.kernel.models import User
from connections.models import Account

if TYPE_CHECKING:
    from aggregation.models import Transaction

LIVING = ("posted", "pending")


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def for_user(self, user: User) -> Self:
        return self.filter(account__connection__user=user)


class Delivery(models.Model):
    """One batch of a source, and the rows it told, known ones included.

    A row stands as long as one delivery that tells it stands, and of several versions the one told last counts. So a
    run is undone, and applied again, by marking its deliveries and working out the rows anew.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="deliveries")
    run = models.ForeignKey("sync.SyncRun", null=True, blank=True, on_delete=models.CASCADE, related_name="deliveries")
    source = models.CharField(max_length=8)
    rows = ArrayField(models.BigIntegerField(), help_text="Transactions told, in the version that was current then.")
    first_on = models.DateField()
    last_on = models.DateField()
    created_at = models.DateTimeField(auto_now_add=True)
    undone_at = models.DateTimeField(null=True, blank=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"

    def __str__(self) -> str:
        return f"{self.source} {self.first_on} to {self.last_on}"

    @classmethod
    def last_telling(cls, row: "Transaction") -> "Delivery | None":
        """The last batch that stands and has `row` in it; None for a part, which nobody told, or when undone."""
        around = {"first_on__lte": row.traded_on, "last_on__gte": row.traded_on}  # or all of the account would be read
        told = cls.objects.filter(account=row.account_id, undone_at=None, rows__contains=[row.pk], **around)
        return told.defer("rows").order_by("-pk").first()


class UserEdit(models.Model):
    """What a person made of a row. It moves on to the row's next version."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="edits")
    transaction = models.OneToOneField("aggregation.Transaction", on_delete=models.CASCADE, related_name="edit")
    note = models.CharField(max_length=2000, blank=True)
    tags = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    is_excluded = models.BooleanField(default=False)
    edited_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    edited_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.note or ", ".join(self.tags) or f"Edit of {self.transaction_id}"


class Decision(models.TextChoices):
    OPEN = "open", "To be decided"
    MERGED = "merged", "The same, counted once"
    KEPT = "kept", "Two, both counted"


class PossibleDuplicateQuerySet(models.QuerySet["PossibleDuplicate"]):
    def for_user(self, user: User) -> Self:
        return self.filter(account__connection__user=user)

    def questions(self) -> Self:
        """One row for each question: the pairs that follow another one are asked about, and decided, with it."""
        return self.filter(leader=None)

    def waiting(self) -> Self:
        """Questions to answer now: every row counts. Those of a run taken back wait aside for its return."""
        both_live = Q(first__status__in=LIVING, second__status__in=LIVING)
        aside = PossibleDuplicate.objects.filter(~both_live, leader=OuterRef("pk"))
        return self.questions().filter(both_live, ~Exists(aside), decision=Decision.OPEN)

    def decided(self) -> Self:
        return self.questions().exclude(decision=Decision.OPEN)

    def decided_by(self, user: User) -> Self:
        """What the person decided, the last decision first."""
        return self.decided().filter(decided_by=user).order_by("-decided_at", "-pk")

    def for_list(self) -> Self:
        sides = ("first", "second")
        rows = [f"{side}__{name}" for side in sides for name in ("instrument", "account__connection", "run__file")]
        bytes_of_files = [f"{side}__run__file__content" for side in sides]
        followers = PossibleDuplicate.objects.select_related(*rows).defer(*bytes_of_files).order_by("pk")
        return (
            self.select_related("account__connection", "kept", "decided_by", *rows)
            .defer(*bytes_of_files)
            .prefetch_related(Prefetch("followers", queryset=followers))
            .order_by("-pk")
        )


class PossibleDuplicate(models.Model):
    """Two rows that may be one event. Nothing happens to them until a person decides; each decision can be undone.

    Where one row, the `whole`, may be the sum of several, each of these has its pair with it; they are one question,
    the first pair leads and the others follow.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="possible_duplicates")
    first = models.ForeignKey("aggregation.Transaction", on_delete=models.CASCADE, related_name="+")
    second = models.ForeignKey("aggregation.Transaction", on_delete=models.CASCADE, related_name="+")
    reasons = ArrayField(models.CharField(max_length=20))
    decision = models.CharField(max_length=8, choices=Decision.choices, default=Decision.OPEN)
    kept = models.ForeignKey(
        "aggregation.Transaction",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text="When merged: the row that counts.",
    )
    whole = models.ForeignKey(
        "aggregation.Transaction",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text="The one row that several others may add up to.",
    )
    leader = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="followers")
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    decided_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = PossibleDuplicateQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["first", "second"], name="a_pair_is_asked_once"),
            models.CheckConstraint(condition=Q(first__lt=F("second")), name="the_older_row_first"),
        ]
        indexes: ClassVar = [models.Index(fields=["account", "decision"], name="pairs_by_decision")]

    def __str__(self) -> str:
        return f"{self.first_id} and {self.second_id}: {self.get_decision_display()}"

    @property
    def pairs(self) -> "list[PossibleDuplicate]":
        """All that is decided with this question, itself first."""
        return [self, *self.followers.all()] if self.whole_id else [self]

    @property
    def several(self) -> "list[Transaction]":
        """The rows that may add up to the `whole`, in the order they were asked about; empty for two rows."""
        if not self.whole_id:
            return []
        return [pair.second if pair.first_id == self.whole_id else pair.first for pair in self.pairs]

    @property
    def one(self) -> "Transaction | None":
        """The `whole` itself, without a query of its own."""
        return {self.first_id: self.first, self.second_id: self.second}.get(self.whole_id or 0)

    @property
    def rows(self) -> "list[Transaction]":
        """Every row of the question."""
        return [self.one, *self.several] if self.one else [self.first, self.second]
