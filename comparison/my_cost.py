"""The rows of the page "My cost": each plan's sum, its parts, its badge, and what it leaves out. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from comparison import wording
from comparison.costs import Tariff
from comparison.matrix import Badge, worst_badge
from comparison.replay import ItemSum, PlanCost
from comparison.stored import Catalogue
from comparison.terms import ZERO, PlanTerms, Rule

MARGIN = "margin_interest"
ACCOUNT = ("subscription", "account_inactivity", "annual_account_fee")
NOT_MODELLED = (
    "taxes",
    "price improvement",
    "exchange fees for adding or taking liquidity",
    "fees to borrow shares for short sales",
    "market data",
    "sign-up bonuses",
    "withdrawals other than wires",
    "whether a fund is free of transaction fees",
)


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of line in a plan's sum. `low` None: every line of it is unknown."""

    item: str
    label: str
    entry: ItemSum

    @property
    def is_unknown(self) -> bool:
        return self.entry.is_unknown

    @property
    def is_range(self) -> bool:
        return self.entry.low != self.entry.high

    @property
    def why(self) -> str:
        return "; ".join(self.entry.reasons)


@dataclass(frozen=True, slots=True)
class PlanRow:
    plan: PlanTerms
    cost: PlanCost
    parts: tuple[Part, ...]
    beside: tuple[Part, ...]  # not in the sum: interest earned, exchange fees, conditional fees
    badge: Badge
    bar: int  # 0..100 of the dearest plan, in whole percents

    @property
    def is_range(self) -> bool:
        return self.cost.low != self.cost.high

    @property
    def not_possible(self) -> int:
        return sum(self.cost.impossible.values())

    @property
    def impossible(self) -> list[tuple[str, int]]:
        """Reasons and counts: a template would ask a Counter for the key "items"."""
        return list(self.cost.impossible.items())

    @property
    def earned(self) -> Part | None:
        return next((part for part in self.beside if part.item == "cash_interest"), None)

    @property
    def trading(self) -> Part:
        return self._together(self.cost.items.keys() - {MARGIN, *ACCOUNT})

    @property
    def margin(self) -> Part:
        return self._together({MARGIN})

    @property
    def account(self) -> Part:
        return self._together(ACCOUNT)

    def _together(self, items: Collection[str]) -> Part:
        whole = ItemSum()
        for item, entry in self.cost.items.items():
            if item in items and entry.counted:
                whole.low, whole.high = whole.low + entry.low, whole.high + entry.high
                whole.count, whole.unknown = whole.count + entry.count, whole.unknown + entry.unknown
        return Part("", "", whole)


SORTS = {"name": "name", "total": "total, lowest first"}


def rows(catalogue: Catalogue, costs: dict[str, PlanCost], today: date, sort: str) -> list[PlanRow]:
    """One row a plan, by name unless asked for by total: then complete sums come before partial ones."""
    dearest = max((cost.high for cost in costs.values()), default=ZERO)
    found = [_row(catalogue, catalogue.plans[ref], cost, today, dearest) for ref, cost in costs.items()]
    if sort == "total":
        found.sort(key=lambda row: (row.cost.is_partial, row.cost.low, row.cost.high))
    return found


def _row(catalogue: Catalogue, plan: PlanTerms, cost: PlanCost, today: date, dearest: Decimal) -> PlanRow:
    parts = [Part(item, wording.label_of(item), entry) for item, entry in cost.items.items()]
    parts.sort(key=lambda part: -part.entry.high)
    tariff = Tariff(plan, catalogue.rates, today)
    rules = [
        rule for part in parts if part.entry.counted and part.entry.high and (rule := behind(tariff, part.item, today))
    ]
    badge = worst_badge(rules, cost.unknown, today, catalogue.policy)
    return PlanRow(
        plan,
        cost,
        tuple(part for part in parts if part.entry.counted and (part.entry.high or part.entry.unknown)),
        tuple(part for part in parts if not part.entry.counted),
        badge,
        round(cost.high / dearest * 100) if dearest else 0,
    )


def behind(tariff: Tariff, item: str, day: date) -> Rule | None:
    """The price behind a line: the plan's own, or the regulatory rate of the day."""
    rule = tariff.rule("index_option_contract" if item == "index_exchange_fee" else item, day)
    if rule is not None:
        return rule
    house = next((how.rule for how in tariff.plan.passes if how.fee == item and how.rate is not None), None)
    dated = tariff.rates.on("orf_estimate" if item == "orf_venue" else item, day)
    return house or (dated.rule if dated else None)
