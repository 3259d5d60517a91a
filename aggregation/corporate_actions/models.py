"""What happened to an instrument, as a person entered it, and what was booked for it in each of their accounts."""

from decimal import Decimal
from typing import ClassVar, Self
from uuid import uuid4

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from aggregation.models import MoneyField, QuantityField
from brokerhub.kernel.models import User
from connections.models import Account


class ActionKind(models.TextChoices):
    SPLIT = "split", "Split or reverse split"
    SPIN_OFF = "spin_off", "Spin-off"
    MERGER = "merger", "Merger or takeover"
    RENAME = "rename", "New symbol"


class CorporateActionQuerySet(models.QuerySet["CorporateAction"]):
    def for_user(self, user: User) -> Self:
        return self.filter(user=user)

    def standing(self) -> Self:
        return self.filter(undone_at=None)


class CorporateAction(models.Model):
    """`new` units are received for every `old` held at the start of the day `on`. Empty fields: not known, or none."""

    key = models.UUIDField(default=uuid4, editable=False, help_text="Names it in its rows, here and in a copy.")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="corporate_actions")
    kind = models.CharField(max_length=10, choices=ActionKind.choices)
    instrument = models.ForeignKey("aggregation.Instrument", on_delete=models.PROTECT, related_name="+")
    received = models.ForeignKey(
        "aggregation.Instrument", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    on = models.DateField("first day on which it holds")
    new = QuantityField(null=True, blank=True)
    old = QuantityField(default=Decimal(1))
    cost_share = models.DecimalField(
        max_digits=12, decimal_places=10, null=True, blank=True, help_text="Part of the cost that goes along, 0 to 1."
    )
    cash_per_unit = MoneyField(null=True, blank=True, help_text="Cash for each unit held before.")
    value_per_unit = MoneyField(null=True, blank=True, help_text="What one received unit was worth that day.")
    fraction_price = MoneyField(null=True, blank=True, help_text="Cash in lieu, for one whole unit received.")
    currency = models.CharField(max_length=3)
    entered_at = models.DateTimeField(auto_now_add=True)
    undone_at = models.DateTimeField(null=True, blank=True)

    objects = CorporateActionQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["user", "-on"], name="corporate_actions_newest_first")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.instrument} on {self.on}"

    @property
    def ratio(self) -> Decimal | None:
        return None if self.new is None else self.new / self.old

    @property
    def terms(self) -> str:
        """As people say them: 2 for 1; 20 % of the cost; cash in lieu."""
        words = [] if self.new is None else [f"{_plain(self.new)} for {_plain(self.old)}"]
        if self.cash_per_unit is not None:
            words.append(f"{_plain(self.cash_per_unit)} {self.currency} for each")
        if self.cost_share is not None:
            words.append(f"{_plain(self.cost_share * 100)} % of the cost")
        elif self.kind == ActionKind.SPIN_OFF:
            words.append("share of the cost not known")
        if self.fraction_price is not None:
            words.append(f"fractions at {_plain(self.fraction_price)} {self.currency}")
        return "; ".join(words)

    @property
    def group(self) -> str:
        """What the rows booked for it have for their group."""
        return f"action:{self.key.hex}"


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


class AppliedAction(models.Model):
    """One account in which an action was applied, and the rows booked for it. A broker's own rows make these rest."""

    action = models.ForeignKey(CorporateAction, on_delete=models.CASCADE, related_name="applied")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="applied_actions")
    booked = ArrayField(models.BigIntegerField(), default=list, help_text="Transactions booked by hand.")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["action", "account"], name="an_action_is_applied_once_per_account")
        ]

    def __str__(self) -> str:
        return f"{self.action} in {self.account}"
