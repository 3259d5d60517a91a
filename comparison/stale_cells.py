"""Facts of the catalogue that somebody has to read again: stale ones, and those that soon will be."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Q

from comparison.freshness import POLICY_RATE, kind_of, why_stale
from comparison.models import BenchmarkValue, FeeRule, PlanFeature
from comparison.price_words import first_day

SOON = timedelta(days=14)
KINDS = {
    "margin": "Margin rates",
    "cash": "Interest on cash",
    "regulatory": "Regulatory fees",
    "commission": "Commissions",
    "account": "Account fees",
    "feature": "Features",
}


@dataclass(frozen=True, slots=True)
class Cell:
    pk: int
    kind: str
    is_stale: bool  # now; else within SOON


def rules(today: date) -> Iterator[Cell]:
    """Prices that hold now. What is unknown or not offered does not grow old."""
    moves = BenchmarkValue.objects.filter(benchmark=POLICY_RATE, retired_at=None).values_list("on", flat=True)
    policy = tuple(day for day in map(first_day, moves) if day is not None)
    known = FeeRule.objects.current().exclude(Q(model="") & ~Q(reason=""))
    for pk, item, as_of in known.values_list("pk", "item", "as_of"):
        yield from _cell(pk, kind_of(item), as_of, today, policy)


def answers(today: date) -> Iterator[Cell]:
    for pk, as_of in PlanFeature.objects.filter(retired_at=None).exclude(value=None).values_list("pk", "as_of"):
        yield from _cell(pk, "feature", as_of, today)


def _cell(pk: int, kind: str, as_of: str, today: date, policy: tuple[date, ...] = ()) -> Iterator[Cell]:
    if why_stale(as_of, kind, today, policy):
        yield Cell(pk, kind, is_stale=True)
    elif why_stale(as_of, kind, today + SOON, policy):
        yield Cell(pk, kind, is_stale=False)
