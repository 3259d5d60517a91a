"""Simulations too long for a page: a committed row, worked off by a task that may run twice."""

from dataclasses import asdict
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from brokerhub.kernel.errors import HubError
from brokerhub.kernel.models import User
from comparison import history, simulation, stored
from comparison.replay import PlanCost
from comparison.simulation import ENGINE, Simulation, Wish
from comparison.simulation_models import OPEN, CostSimulation, SimulationState

LARGE = 20_000  # rows; a page answers fewer at once, in about two seconds
STALE = timedelta(minutes=2)  # without progress, a worker is taken for dead
SAID_EVERY = timedelta(seconds=1)


class StillPricing(HubError):
    """Too many transactions for one answer: `simulation` prices them in the background."""

    status = 503
    code = "still_pricing"

    def __init__(self, simulation: CostSimulation) -> None:
        super().__init__("Your transactions are many and are priced in the background. Ask again in a few minutes.")
        self.simulation = simulation


def is_large(user: User, wish: Wish) -> bool:
    return history.own(user, wish.accounts).filter(traded_on__range=(wish.since, wish.until)).count() > LARGE


def request(user: User, wish: Wish, *, to_show: bool = False) -> CostSimulation:
    """A new simulation, or the open or finished one of the same inputs and data.

    `to_show`: a page needs what is kept for some hours only, so a finished one without it is no help.
    """
    key = simulation.key_of(user, wish)
    same = CostSimulation.objects.for_user(user).filter(key=key, state__in=[SimulationState.DONE, *OPEN])
    found = same.first()
    if found and (found.state in OPEN or not to_show or simulation.kept(user, wish) is not None):
        return found
    try:
        with transaction.atomic():
            made = CostSimulation.objects.create(
                user=user, key=key, inputs=_inputs(wish), catalogue_version=stored.version(), engine_version=ENGINE
            )
    except IntegrityError:  # somebody's second click was as fast
        return CostSimulation.objects.get(user=user, key=key, state__in=OPEN)
    nudge(made)
    return made


def result(user: User, wish: Wish) -> Simulation:
    """The result at once. Raises StillPricing where that would take longer than a page may."""
    found = simulation.kept(user, wish)
    if found is None and is_large(user, wish):
        raise StillPricing(request(user, wish, to_show=True))
    return found or simulation.simulate(user, wish)


def nudge(one: CostSimulation) -> None:
    """Ask a worker to take it up, once it is committed."""
    from comparison.tasks import simulate

    transaction.on_commit(lambda: simulate.delay(str(one.pk)), robust=True)


def run(simulation_id: str) -> None:
    """What the task calls. Of two workers one wins; a dead one's work is taken over after a while."""
    now = timezone.now()
    waiting = Q(state=SimulationState.QUEUED) | Q(state=SimulationState.RUNNING, finished_at__lt=now - STALE)
    mine = CostSimulation.objects.filter(waiting, pk=simulation_id)
    if not mine.update(state=SimulationState.RUNNING, finished_at=now):  # until it ends: the last sign of life
        return
    one = CostSimulation.objects.select_related("user").get(pk=simulation_id)
    try:
        result = as_json(simulation.simulate(one.user, wish_of(one.inputs), _Watched(one)))
    except Exception:
        CostSimulation.objects.filter(pk=one.pk).update(
            state=SimulationState.FAILED, error="The simulation failed on our side.", finished_at=timezone.now()
        )
        raise
    CostSimulation.objects.filter(pk=one.pk).update(
        state=SimulationState.DONE, result=result, finished_at=timezone.now(), error=""
    )


class _Watched:
    """Writes progress to the row, at most once a second."""

    def __init__(self, one: CostSimulation) -> None:
        self.pk, self.said = one.pk, timezone.now() - SAID_EVERY

    def __call__(self, done: int, total: int) -> None:
        now = timezone.now()
        if now - self.said >= SAID_EVERY or done == total:
            self.said = now
            CostSimulation.objects.filter(pk=self.pk).update(done=done, total=total, finished_at=now)


def _inputs(wish: Wish) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in asdict(wish).items()}


def wish_of(inputs: dict[str, Any]) -> Wish:
    return Wish(
        accounts=tuple(inputs["accounts"]),
        since=date.fromisoformat(inputs["since"]),
        until=date.fromisoformat(inputs["until"]),
        rates_of=date.fromisoformat(inputs["rates_of"]) if inputs["rates_of"] else None,
    )


def money(value: Decimal) -> str:
    """Exactly, without an exponent."""
    return f"{value.normalize():f}"


def plan_json(cost: PlanCost) -> dict[str, Any]:
    return {
        "plan": cost.ref,
        "low": money(cost.low),
        "high": money(cost.high),
        "currency": "USD",
        "is_partial": cost.is_partial,
        "priced": cost.priced,
        "not_possible": [{"reason": reason, "trades": count} for reason, count in cost.impossible.items()],
        "items": [
            {
                "item": item,
                "low": None if entry.is_unknown else money(entry.low),
                "high": None if entry.is_unknown else money(entry.high),
                "lines": entry.count,
                "unknown_lines": entry.unknown,
                "why_unknown": list(entry.reasons),
                "in_total": entry.counted,
            }
            for item, entry in cost.items.items()
        ],
    }


def as_json(found: Simulation) -> dict[str, Any]:
    """A simulation as the API gives it: money as strings."""
    actual = found.actual
    return {
        "since": found.wish.since.isoformat(),
        "until": found.wish.until.isoformat(),
        "rates": "day" if found.wish.dated else "today",
        "accounts": list(found.wish.accounts),
        "catalogue_version": found.version,
        "engine_version": ENGINE,
        "orders": found.orders,
        "orders_that_may_be_several": found.ambiguous,
        "plans": [plan_json(cost) for cost in found.plans.values()],
        "actual": {
            "currency": "USD",
            "trade_fees": money(actual.trade_fees),
            "other_fees": money(actual.other_fees),
            "margin_interest": money(actual.margin_interest),
            "interest_received": money(actual.interest_received),
            "fees_in_other_currencies": actual.elsewhere,
        },
        "model_error": [
            {
                "broker": error.broker,
                "plan": error.ref,
                "low": money(error.low),
                "high": money(error.high),
                "paid": money(error.paid),
                "gap": money(error.gap),
                "is_large": error.is_large,
                "orders_compared": error.compared,
                "orders_not_compared": error.left,
                "why_not_compared": [{"reason": reason, "orders": count} for reason, count in error.reasons],
                "paid_not_compared": money(error.paid_without),
            }
            for error in found.errors
        ],
        "left_out": [{"reason": reason, "trades": count} for reason, count in found.left_out.items()],
        "accounts_without_cash": found.without_cash,
    }
