"""Execution quality as publishers report it: each figure hangs on the file or document that says it."""

from decimal import Decimal
from typing import Any, ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from comparison.models import ComparisonBroker, ComparisonSource, Sourced
from comparison.rule605 import OrderSize, StatOrder
from comparison.rule606 import OrderKind, Section, weighted_rate


class ReportForm(models.TextChoices):
    ROUTING = "606a1", "Order routing (Rule 606)"
    SUMMARY = "605a2", "Execution quality, summary (Rule 605)"
    DETAIL = "605a1", "Execution quality, by market centre (Rule 605, old form)"
    CATALOGUE = "606cat", "Order routing (Rule 606), figures that come with the hub"

    @property
    def is_quality(self) -> bool:
        return self in (ReportForm.SUMMARY, ReportForm.DETAIL)


def _number(**options: Any) -> "models.DecimalField[Any, Any]":
    return models.DecimalField(max_digits=28, decimal_places=10, null=True, blank=True, **options)


class ExecutionReportQuerySet(models.QuerySet["ExecutionReport"]):
    def current(self) -> Self:
        """Without those that a corrected file has replaced."""
        return self.filter(replaced_at=None)

    def imported(self) -> Self:
        """Out of the publishers' own files, which an operator handed over."""
        return self.exclude(form=ReportForm.CATALOGUE)

    def of_catalogue(self) -> Self:
        return self.filter(form=ReportForm.CATALOGUE)


class ExecutionReport(models.Model):
    """One file of one publisher about one period. A corrected file replaces it and leaves it standing as history."""

    form = models.CharField(max_length=8, choices=ReportForm.choices)
    publisher = models.CharField(max_length=80, help_text="Who reports, as the file or the operator names them.")
    publisher_key = models.CharField(max_length=80, help_text="The name without case, blanks and punctuation.")
    broker = models.ForeignKey(
        ComparisonBroker,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="execution_reports",
        help_text="Empty for a publisher that is none of the brokers compared here.",
    )
    first_on = models.DateField()
    last_on = models.DateField()
    generated_at = models.DateTimeField(null=True, blank=True, help_text="As the file says.")
    reporter_code = models.CharField(max_length=12, blank=True, help_text="Of Rule 605 files.")
    file_name = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    source_url = models.URLField(max_length=500, blank=True)
    source = models.ForeignKey(
        ComparisonSource,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Of figures that come with the hub: the document they were read in.",
    )
    warnings = ArrayField(models.CharField(max_length=300), default=list, blank=True)
    imported_at = models.DateTimeField(auto_now_add=True)
    replaced_at = models.DateTimeField(null=True, blank=True)

    objects = ExecutionReportQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-last_on", "publisher", "form", "-pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["form", "publisher_key", "first_on"],
                condition=Q(replaced_at=None),
                name="one_current_report_per_publisher_and_period",
            )
        ]

    def __str__(self) -> str:
        return f"{self.publisher}, {self.period}: {ReportForm(self.form).label}"

    @property
    def period(self) -> str:
        """Q4 2022, or October 2022."""
        if (self.first_on.year, self.first_on.month) == (self.last_on.year, self.last_on.month):
            return f"{self.first_on:%B %Y}"
        return f"Q{self.last_on.month // 3} {self.last_on.year}"


class RoutingSection(models.Model):
    """One section of one month of a Rule 606 report. Percentages are 0 to 100; None is "not meaningful"."""

    report = models.ForeignKey(ExecutionReport, on_delete=models.CASCADE, related_name="sections")
    month_on = models.DateField(help_text="The month's first day.")
    section = models.CharField(max_length=12, choices=Section.choices)
    non_directed_pct = _number(help_text="Of all orders, those the customer left to the broker to route.")
    market_pct = _number()
    marketable_limit_pct = _number()
    non_marketable_limit_pct = _number()
    other_pct = _number()
    # Over all venues, as told; empty where they are the sum of the venues stored.
    market_usd = _number()
    market_cents = _number()
    marketable_limit_usd = _number()
    marketable_limit_cents = _number()
    non_marketable_limit_usd = _number()
    non_marketable_limit_cents = _number()
    other_usd = _number()
    other_cents = _number()

    class Meta:
        ordering: ClassVar = ["-month_on", "pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["report", "month_on", "section"], name="each_section_once_a_month")
        ]

    def __str__(self) -> str:
        return f"{Section(self.section).label}, {self.month_on:%B %Y}"

    def share_of(self, kind: OrderKind) -> Decimal | None:
        """Of the non-directed orders, in percent."""
        found: Decimal | None = getattr(self, f"{kind}_pct")
        return found

    def paid_for(self, kind: OrderKind) -> Decimal | None:
        """Net dollars of the month over all venues, received positive; None when no venue says."""
        told: Decimal | None = getattr(self, f"{kind}_usd")
        if told is not None:
            return told
        amounts = [venue.usd_for(kind) for venue in self.venues.all()]
        known = [amount for amount in amounts if amount is not None]
        return sum(known, Decimal(0)) if known else None

    def rate_for(self, kind: OrderKind) -> Decimal | None:
        """Cents per 100 shares (options: per contract) over all venues."""
        told: Decimal | None = getattr(self, f"{kind}_cents")
        if told is not None:
            return told
        return weighted_rate((venue.usd_for(kind), venue.cents_for(kind)) for venue in self.venues.all())


class RoutingVenue(models.Model):
    """Where orders of one section went, and what was paid for them. Dollars and cents are positive when received."""

    section = models.ForeignKey(RoutingSection, on_delete=models.CASCADE, related_name="venues")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=80, blank=True)
    mic = models.CharField("MIC", max_length=4, blank=True)
    mpid = models.CharField("MPID", max_length=5, blank=True)
    key = models.CharField(max_length=80, db_index=True, help_text="The same for one venue in everybody's reports.")
    order_pct = _number()
    market_pct = _number()
    market_usd = _number()
    market_cents = _number()
    marketable_limit_pct = _number()
    marketable_limit_usd = _number()
    marketable_limit_cents = _number()
    non_marketable_limit_pct = _number()
    non_marketable_limit_usd = _number()
    non_marketable_limit_cents = _number()
    other_pct = _number()
    other_usd = _number()
    other_cents = _number()
    material_aspects = models.TextField(blank=True, help_text="The broker's own words about its relation to the venue.")

    class Meta:
        ordering: ClassVar = ["section", "position"]

    def __str__(self) -> str:
        return self.name or self.mic

    def share_of(self, kind: OrderKind) -> Decimal | None:
        found: Decimal | None = getattr(self, f"{kind}_pct")
        return found

    def usd_for(self, kind: OrderKind) -> Decimal | None:
        found: Decimal | None = getattr(self, f"{kind}_usd")
        return found

    def cents_for(self, kind: OrderKind) -> Decimal | None:
        found: Decimal | None = getattr(self, f"{kind}_cents")
        return found


class ExecutionStat(models.Model):
    """How one kind and size of orders was executed (Rule 605). Shares and percentages are fractions: 0.95 is 95 %."""

    report = models.ForeignKey(ExecutionReport, on_delete=models.CASCADE, related_name="stats")
    is_sp500 = models.BooleanField(null=True, blank=True, help_text="Empty: all stocks together.")
    order = models.CharField(max_length=20, choices=StatOrder.choices)
    size = models.CharField(max_length=8, choices=OrderSize.choices)
    symbols = models.PositiveIntegerField(null=True, blank=True)
    orders = models.BigIntegerField(null=True, blank=True)
    covered_shares = models.BigIntegerField(null=True, blank=True)
    executed_shares = models.BigIntegerField(null=True, blank=True)
    average_shares = _number()
    average_usd = _number()
    average_midpoint = _number()
    at_or_better = _number(help_text="Of the executed shares.")
    improved = _number(help_text="Of the executed shares.")
    net_improvement = _number(help_text="Of the midpoint.")
    net_improvement_usd = _number(help_text="Per share.")
    effective_spread = _number(help_text="Of the midpoint.")
    effective_spread_usd = _number(help_text="Per share.")
    quoted_spread = _number(help_text="Of the midpoint.")
    effective_over_quoted = _number()
    realized_15s = _number(help_text="Of the midpoint, 15 seconds later.")
    realized_1m = _number(help_text="Of the midpoint, a minute later.")
    realized_usd = _number(help_text="Per share, five minutes later (old form).")
    speed_ms = _number(help_text="From receipt to execution, weighted by shares.")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["report", "is_sp500", "order", "size"], name="each_stat_once_a_report", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return f"{StatOrder(self.order).label}, {OrderSize(self.size).label}"


class PublishedBy(models.TextChoices):
    ACADEMICS = "independent academics", "Independent study"
    BROKER = "broker", "The broker itself"


class FigureKind(models.TextChoices):
    """What studies and brokers measure, each in its own way; only figures of one kind, author and period compare."""

    EFFECTIVE_OVER_QUOTED = "effective_over_quoted", "Effective over quoted spread"
    SPREAD_IMPROVEMENT = "price_improvement_pct_of_nbbo", "Price improvement, of the quoted spread"
    OPTIONS_IMPROVEMENT = "options_price_improvement", "Price improvement on options, of the quoted spread"
    NET_IMPROVEMENT = "net_price_improvement_per_100_shares", "Net price improvement on 100 shares"
    IMPROVEMENT_1000 = "price_improvement_per_1000_share_order", "Price improvement on 1,000 shares"
    IMPROVEMENT_TOTAL = "price_improvement_total", "Price improvement in all"
    IMPROVED = "pct_shares_price_improved", "Shares at a better price than quoted"
    AT_OR_BETTER = "pct_shares_at_or_better", "Shares at the quote or better"
    ORDERS_AT_OR_BETTER = "pct_orders_at_or_better", "Orders at the quote or better"
    EFFECTIVE_SPREAD = "average_effective_spread", "Effective spread"
    SPEED = "average_execution_speed", "Time to execution"
    SAVINGS = "average_savings_per_order", "Savings on an order"
    PAYMENT_RATE = "pfof_max_market_sp500_cents_per_100_shares", "Highest rate a venue paid for market orders"
    PAYMENT_TOTAL = "pfof_total_quarter", "Payment for order flow in a quarter"
    PAYMENT_TERMS = "pfof_terms", "Terms of payment for order flow"

    @property
    def is_payment(self) -> bool:
        return self.value.startswith("pfof")


class PublishedFigure(Sourced):
    """A figure out of a study or a broker's own page: no report by a rule, so each states its scope and its author."""

    broker = models.ForeignKey(
        ComparisonBroker, null=True, blank=True, on_delete=models.SET_NULL, related_name="published_figures"
    )
    name = models.CharField(max_length=80, help_text="Who it is about, as the document says.")
    metric = models.CharField(max_length=60, choices=FigureKind.choices)
    value = models.DecimalField(max_digits=28, decimal_places=10)
    unit = models.CharField(max_length=120)
    period = models.CharField(max_length=40)
    scope = models.CharField(max_length=300)
    published_by = models.CharField(max_length=24, choices=PublishedBy.choices)
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering: ClassVar = ["metric", "period", "name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["name", "metric", "period", "scope"], name="each_published_figure_once")
        ]

    def __str__(self) -> str:
        return f"{self.name}, {self.get_metric_display()}, {self.period}"
