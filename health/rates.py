"""How much each broker still allows, to whom, and when that is used up if calls go on as they do."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q

from connections.models import Connection
from health.connection_models import ConnectionMeasure
from health.metrics import Budget, Pace

LATELY = timedelta(minutes=10)  # longer than any budget's period: of what was seen before, all is there again


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """A budget as it stands, and the pace of all who share it."""

    budget: Budget
    used_up_in: float | None  # seconds, if calls go on like this; None: never, or its use is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnBudget:
    """What a person's own connection may still ask."""

    connection: Connection
    budget: Budget
    used_up_in: float | None


def tightest(now: datetime) -> dict[str, Allowance]:
    """By broker, of the budgets that were used lately, the one that comes to its end first. In one query."""
    found: dict[str, Allowance] = {}
    lately = ConnectionMeasure.objects.filter(budget_seen_at__gt=now - LATELY)
    for (broker, _), allowance in _allowances(lately, now).items():
        if broker not in found or _nearer(allowance, found[broker]):
            found[broker] = allowance
    return found


def of_connections(connections: Iterable[Connection], now: datetime) -> dict[UUID, OwnBudget]:
    """Of those whose calls told a budget, by the connection's id; others may share it. In one query."""
    mine = {each.pk: each for each in connections}
    owners = ConnectionMeasure.objects.filter(connection_id__in=mine).exclude(budget_owner="").values("budget_owner")
    shared = Q(budget_owner__in=owners, budget_seen_at__gt=now - LATELY)
    measures = list(ConnectionMeasure.objects.filter(Q(connection_id__in=mine) | shared))
    allowances = _allowances(measures, now)
    return {
        each.connection_id: OwnBudget(
            connection=mine[each.connection_id],
            budget=allowances[each.key].budget,
            used_up_in=allowances[each.key].used_up_in,
        )
        for each in measures
        if each.connection_id in mine and each.key in allowances
    }


def _allowances(measures: Iterable[ConnectionMeasure], now: datetime) -> Mapping[tuple[str, str], Allowance]:
    """By broker and owner: as whoever called last saw it, used at the pace of all of them."""
    budgets: dict[tuple[str, str], Budget] = {}
    paces: defaultdict[tuple[str, str], Pace] = defaultdict(Pace)
    for each in measures:
        if each.budget is None:
            continue
        if each.key not in budgets or each.budget.seen_at > budgets[each.key].seen_at:
            budgets[each.key] = each.budget
        paces[each.key] += each.pace(now)
    return {
        key: Allowance(budget=budget.now(now), used_up_in=budget.now(now).lasts(paces[key].per_second(now)))
        for key, budget in budgets.items()
    }


def _nearer(one: Allowance, other: Allowance) -> bool:
    def nearness(each: Allowance) -> tuple[float, float, datetime]:
        ends = float("inf") if each.used_up_in is None else each.used_up_in
        return -ends, each.budget.used_share or 0.0, each.budget.seen_at

    return nearness(one) > nearness(other)
