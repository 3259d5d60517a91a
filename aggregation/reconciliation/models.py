"""What was compared, what does not agree, what was done about it, and which transfers belong together."""

from typing import ClassVar, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from aggregation.models import QuantityField
from aggregation.reconciliation.causes import QUIET, Cause
from brokerhub.kernel.models import User
from connections.models import Account


class ReconciliationQuerySet(models.QuerySet["Reconciliation"]):
    def for_user(self, user: User) -> Self:
        return self.filter(account__connection__user=user)

    def due(self) -> Self:
        return self.filter(due_at__lte=timezone.now())


class Reconciliation(models.Model):
    """When an account was compared, and since when it has to be again. Whoever changes its books or figures says so."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="reconciliation")
    due_at = models.DateTimeField(null=True, blank=True, db_index=True, help_text="Empty: nothing has changed since.")
    compared_at = models.DateTimeField(null=True, blank=True)
    reported_at = models.DateTimeField(null=True, blank=True, help_text="When the broker said what was compared.")
    items = models.PositiveIntegerField(default=0, help_text="How many positions and amounts of cash were compared.")
    covered_from = models.DateField(null=True, blank=True, help_text="First day whose transactions were read.")
    covered_to = models.DateField(null=True, blank=True)
    parked = models.PositiveIntegerField(default=0, help_text="Rows that wait for a rule.")

    objects = ReconciliationQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.account}: compared {self.compared_at or 'never'}"


class BreakState(models.TextChoices):
    OPEN = "open", "To be seen to"
    IGNORED = "ignored", "Ignored"
    RESOLVED = "resolved", "Agrees again"


class BreakQuerySet(models.QuerySet["Break"]):
    def for_user(self, user: User) -> Self:
        return self.filter(account__connection__user=user)

    def live(self) -> Self:
        """What does not agree now, ignored or not."""
        return self.exclude(state=BreakState.RESOLVED)

    def alarming(self) -> Self:
        """What a person has to see to."""
        return self.filter(state=BreakState.OPEN).exclude(cause__in=QUIET)

    def for_list(self) -> Self:
        rows = self.select_related("account__connection", "instrument", "ignored_by")
        return rows.defer("account__connection__sealed_credentials").order_by("account_id", "cause", "pk")


class Break(models.Model):
    """One place where broker and ledger differ: units of an instrument, or without one the cash of `currency`.

    `findings` are the causes, each with the amount it explains, its evidence and its fixes; `cause` is the first.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="breaks")
    instrument = models.ForeignKey("aggregation.Instrument", null=True, blank=True, on_delete=models.PROTECT)
    currency = models.CharField(max_length=3)
    reported = QuantityField(null=True, blank=True, help_text="Empty: the broker does not report it.")
    derived = QuantityField()
    difference = QuantityField(help_text="Reported less derived.")
    cause = models.CharField(max_length=20, choices=Cause.choices)
    explained = QuantityField(help_text="As much of the difference as the first cause explains.")
    findings = models.JSONField(default=list)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of the figures and the causes.")
    state = models.CharField(max_length=10, choices=BreakState.choices, default=BreakState.OPEN)
    agreed_on = models.DateField(null=True, blank=True, help_text="When it agreed last; empty: it never has.")
    found_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    resolved_at = models.DateTimeField(null=True, blank=True)
    ignored_at = models.DateTimeField(null=True, blank=True)
    ignored_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    ignored_why = models.CharField(max_length=300, blank=True)
    came_back = models.BooleanField(default=False, help_text="It was ignored, and the figures changed since.")

    objects = BreakQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "instrument", "currency"],
                condition=~Q(state=BreakState.RESOLVED),
                nulls_distinct=False,
                name="one_live_break_per_place",
            )
        ]
        indexes: ClassVar = [models.Index(fields=["account", "state"], name="breaks_by_state")]

    def __str__(self) -> str:
        return f"{self.title}: {self.get_cause_display()}"

    @property
    def title(self) -> str:
        return self.instrument.title if self.instrument else f"Cash in {self.currency}"

    @property
    def why(self) -> Cause:
        return Cause(self.cause)

    @property
    def is_cash(self) -> bool:
        return self.instrument_id is None

    @property
    def tone(self) -> str:
        if self.state != BreakState.OPEN:
            return "quiet"
        return "wait" if self.why.is_quiet else "warn"


class CorrectionQuerySet(models.QuerySet["Correction"]):
    def for_user(self, user: User) -> Self:
        return self.filter(account__connection__user=user)

    def standing(self) -> Self:
        return self.filter(undone_at=None)

    def for_list(self) -> Self:
        return self.select_related("account__connection").order_by("-pk")


class Correction(models.Model):
    """What a person did about breaks: rows booked by hand, rows left out or brought back. It can be taken back."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="corrections")
    action = models.CharField(max_length=12)
    label = models.CharField(max_length=120)
    about = models.CharField(max_length=300)
    cause = models.CharField(max_length=20, choices=Cause.choices)
    booked = ArrayField(models.BigIntegerField(), default=list, help_text="Transactions booked by hand.")
    changed = ArrayField(models.BigIntegerField(), default=list, help_text="Transactions left out or brought back.")
    done_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    done_at = models.DateTimeField(auto_now_add=True)
    undone_at = models.DateTimeField(null=True, blank=True)

    objects = CorrectionQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["account", "-id"], name="corrections_newest_first")]

    def __str__(self) -> str:
        return f"{self.label}: {self.about}"


class LinkState(models.TextChoices):
    MATCHED = "matched", "Matched"
    CONFIRMED = "confirmed", "Confirmed by you"
    REJECTED = "rejected", "Not the same"


class TransferLinkQuerySet(models.QuerySet["TransferLink"]):
    def for_user(self, user: User) -> Self:
        return self.filter(outgoing__account__connection__user=user)

    def joined(self) -> Self:
        """Links that hold: both legs count, and nobody said that they are two."""
        both = Q(outgoing__status="posted", incoming__status="posted")
        return self.filter(both).exclude(state=LinkState.REJECTED)

    def for_list(self) -> Self:
        legs = ("outgoing__account__connection", "incoming__account__connection", "outgoing__instrument")
        return self.select_related(*legs).order_by("-outgoing__traded_on", "-pk")


class TransferLink(models.Model):
    """Two legs of one transfer in kind: what left one account arrived in another, with what it had cost there."""

    outgoing = models.ForeignKey("aggregation.Transaction", on_delete=models.CASCADE, related_name="arrivals")
    incoming = models.ForeignKey("aggregation.Transaction", on_delete=models.CASCADE, related_name="origins")
    state = models.CharField(max_length=10, choices=LinkState.choices, default=LinkState.MATCHED)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TransferLinkQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["outgoing", "incoming"], name="two_legs_are_linked_once"),
            models.UniqueConstraint(
                fields=["outgoing"], condition=~Q(state=LinkState.REJECTED), name="a_leg_leaves_once"
            ),
            models.UniqueConstraint(
                fields=["incoming"], condition=~Q(state=LinkState.REJECTED), name="a_leg_arrives_once"
            ),
            models.CheckConstraint(condition=~Q(outgoing=F("incoming")), name="a_leg_is_not_its_own"),
        ]

    def __str__(self) -> str:
        return f"{self.outgoing_id} to {self.incoming_id}: {self.get_state_display()}"
