"""What is kept of each day: positions, prices, what a broker says of days gone by, and every change of a past day.

The daily values themselves are `aggregation.models.BalancePoint`. Import from `aggregation.models`, which comes first.
"""

from typing import ClassVar, Self

from django.db import models

from aggregation.models import MoneyField, PointBasis, QuantityField
from brokerhub.kernel.models import User
from connections.brokers.records import Broker
from connections.models import Account


class PositionPoint(models.Model):
    """What an account held of an instrument at the end of a day, as the broker said it last on that day."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="position_points", db_index=False)
    instrument = models.ForeignKey("aggregation.Instrument", on_delete=models.PROTECT, related_name="+")
    on = models.DateField()
    quantity = QuantityField()
    price = MoneyField(null=True, blank=True)
    value = MoneyField(null=True, blank=True, help_text="Signed, in `currency`; empty when nobody told it.")
    currency = models.CharField(max_length=3)
    basis = models.CharField(max_length=10, choices=PointBasis.choices, default=PointBasis.OBSERVED)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["account", "on", "instrument"], name="one_position_point_per_day")
        ]

    def __str__(self) -> str:
        return f"{self.on} {self.quantity} {self.instrument_id}"


class DailyPrice(models.Model):
    """The close of a day in the shares of that day, told by the price history of one of the person's own brokers.

    Nobody shares it: brokers license prices to their customer, and which share a close was of follows from the splits
    in the person's own books.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="daily_prices", db_index=False)
    instrument = models.ForeignKey("aggregation.Instrument", on_delete=models.CASCADE, related_name="daily_prices")
    on = models.DateField()
    close = MoneyField()
    currency = models.CharField(max_length=3)
    source = models.CharField(max_length=12, choices=Broker.choices)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "instrument", "on"], name="one_close_per_day")]

    def __str__(self) -> str:
        return f"{self.on} {self.close} {self.currency}"


class PriceCoverage(models.Model):
    """Which days of an instrument a person's brokers were asked for, so that nobody is asked twice for nothing."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="price_coverages", db_index=False)
    instrument = models.ForeignKey("aggregation.Instrument", on_delete=models.CASCADE, related_name="price_coverages")
    source = models.CharField(max_length=12, choices=Broker.choices)
    covered_from = models.DateField(null=True, blank=True)
    covered_to = models.DateField(null=True, blank=True)
    asked_at = models.DateTimeField()
    claimed_until = models.DateTimeField(null=True, blank=True, help_text="A worker is asking until then.")
    trouble = models.CharField(max_length=300, blank=True, help_text="Why there are no prices; in words for people.")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "instrument"], name="one_price_coverage_per_person")
        ]

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.covered_from} to {self.covered_to}"


class ReportedValue(models.Model):
    """An account's whole value at the end of a day gone by, all currencies in one, as the broker tells its history."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="reported_values", db_index=False)
    on = models.DateField()
    currency = models.CharField(max_length=3)
    net_asset_value = MoneyField()
    told_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["account", "on"], name="one_reported_value_per_day")]

    def __str__(self) -> str:
        return f"{self.account_id} {self.on} {self.net_asset_value} {self.currency}"


class AccountHistory(models.Model):
    """How far an account's daily points go, and whether something they rest on has changed since they were made."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="history", primary_key=True)
    changed_at = models.DateTimeField(null=True, blank=True, help_text="Transactions changed since the last rebuild.")
    prices_at = models.DateTimeField(null=True, blank=True, help_text="Prices arrived since the last rebuild.")
    changed_from = models.DateField(null=True, blank=True, help_text="The first day those transactions are about.")
    prices_from = models.DateField(null=True, blank=True, help_text="The first day those prices are of.")
    taken_to = models.DateField(null=True, blank=True, help_text="The last day that has its points.")
    rebuilt_at = models.DateTimeField(null=True, blank=True)
    asked_at = models.DateTimeField(null=True, blank=True, help_text="When its broker was last asked for its history.")
    unexplained = models.JSONField(
        default=dict, help_text="Cash that the broker reports and no transaction explains, by currency."
    )

    class Meta:
        verbose_name_plural = "account histories"

    def __str__(self) -> str:
        return f"{self.account_id} to {self.taken_to}"


class ChangeReason(models.TextChoices):
    """Why a day gone by has another figure than before. There is no other reason."""

    OBSERVED = "observed", "The broker told its own figure"
    TRANSACTIONS = "transactions", "Transactions were added, corrected or taken back"
    PRICES = "prices", "Prices of that time became known"
    BROKER_HISTORY = "broker_history", "The broker told its history"


class PointChangeQuerySet(models.QuerySet["PointChange"]):
    def for_user(self, user: User) -> Self:
        return self.filter(account__connection__user=user)


class PointChange(models.Model):
    """A day gone by that got another figure: what it was, what it became, why and when. Never deleted by itself."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="point_changes", db_index=False)
    on = models.DateField()
    currency = models.CharField(max_length=3)
    was = MoneyField(null=True, blank=True)
    became = MoneyField(null=True, blank=True)
    flow_was = MoneyField(null=True, blank=True)
    flow_became = MoneyField(null=True, blank=True)
    reason = models.CharField(max_length=16, choices=ChangeReason.choices)
    changed_at = models.DateTimeField()

    objects = PointChangeQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["account", "-changed_at"], name="point_changes_newest_first")]

    def __str__(self) -> str:
        return f"{self.on} {self.was} -> {self.became}"
