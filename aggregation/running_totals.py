"""Running totals of the books, so that what an account comes to is known without adding up all its rows.

Triggers of the database keep them: whatever inserts, changes or deletes transactions adds the difference, in the same
transaction and exactly, NUMERIC for NUMERIC. What held on a day gone by is the total less what came after that day.
Import the model from `aggregation.models`, which comes first.
"""

from typing import ClassVar, Self

from django.db import models

from brokerhub.kernel.models import User
from connections.models import Account


class RunningTotalQuerySet(models.QuerySet["RunningTotal"]):
    def for_user(self, user: User) -> Self:
        return self.filter(account__connection__user=user)


class RunningTotal(models.Model):
    """All rows that count of one instrument (its units), or of one currency (its cash; then `instrument` is empty)."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="running_totals", db_index=False)
    instrument = models.ForeignKey(
        "aggregation.Instrument", null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    currency = models.CharField(max_length=3, blank=True, help_text="Of the cash; empty for units.")
    rows = models.BigIntegerField(help_text="How many transactions it adds up.")
    amount = models.DecimalField(max_digits=60, decimal_places=18)

    objects = RunningTotalQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "instrument", "currency"], nulls_distinct=False, name="one_running_total_each"
            )
        ]

    def __str__(self) -> str:
        return f"{self.account_id} {self.instrument_id or self.currency}: {self.amount}"
