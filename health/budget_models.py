"""The columns of a rate budget as last seen, which two tables have, and how newer ones replace older ones."""

from typing import ClassVar

from django.db import models

from connections.brokers.calls import LimitSource
from health.metrics import Budget

COLUMNS = {
    "budget_limit": "integer",
    "budget_remaining": "integer",
    "budget_period": "integer",
    "budget_seen_at": "timestamptz",
    "budget_source": "text",
}


def newest(table: str, *columns: str) -> str:
    """For the SET of an upsert into `table`: whichever side saw its budget later; without one it stays as it was."""
    later = f"excluded.budget_seen_at >= coalesce({table}.budget_seen_at, '-infinity')"
    return ", ".join(
        f"{column} = CASE WHEN {later} THEN excluded.{column} ELSE {table}.{column} END" for column in columns
    )


class SeenBudget(models.Model):
    budget_limit = models.IntegerField(null=True, blank=True, help_text="The rate budget as last seen.")
    budget_remaining = models.IntegerField(null=True, blank=True)
    budget_period = models.IntegerField(null=True, blank=True, help_text="Seconds.")
    budget_seen_at = models.DateTimeField(null=True, blank=True)
    budget_source = models.CharField(
        max_length=10, blank=True, choices=[(each.value, each.value) for each in LimitSource]
    )

    class Meta:
        abstract: ClassVar = True

    @property
    def budget(self) -> Budget | None:
        if self.budget_limit is None or self.budget_seen_at is None:
            return None
        return Budget(
            limit=self.budget_limit,
            remaining=self.budget_remaining,
            period=self.budget_period,
            seen_at=self.budget_seen_at,
            source=LimitSource(self.budget_source or LimitSource.DOCUMENTED),
        )

    def see(self, budget: Budget) -> None:
        """Unsaved."""
        self.budget_limit, self.budget_remaining = budget.limit, budget.remaining
        self.budget_period, self.budget_seen_at = budget.period, budget.seen_at
        self.budget_source = budget.source.value
