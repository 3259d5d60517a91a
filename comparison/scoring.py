"""Scores of the recommendation: criteria from 0 to 100, their weighted sum, and how firm the result is. Pure.

Score = sum(weight x score) / sum(weights of the known criteria). A missing criterion is dropped, the rest renormalised;
coverage and the range if it were 0 or 100 are printed. Source: comparison method, section 8.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from itertools import product

ZERO, HUNDRED, CENT = Decimal(0), Decimal(100), Decimal("0.01")
LEAST_COVERAGE = Decimal("0.60")
CLOSE = Decimal(3)  # a lead below is no winner
FIRM = Decimal("0.70")  # nor is one that fewer of the variants confirm

Weights = Mapping[str, Decimal]
Scores = Mapping[str, Decimal | None]


@dataclass(frozen=True, slots=True)
class Score:
    """`value` None: nothing known carries weight. `low` and `high`: if what is missing were 0, or 100."""

    value: Decimal | None
    coverage: Decimal  # 0..1 of the weight
    low: Decimal
    high: Decimal

    @property
    def is_ranked(self) -> bool:
        return self.value is not None and self.coverage >= LEAST_COVERAGE


@dataclass(frozen=True, slots=True)
class Flip:
    """The share of all weight (0..1) that `criterion` needs for `other` to win."""

    criterion: str
    other: str
    weight: Decimal
    now: Decimal

    @property
    def is_below(self) -> bool:
        return self.weight < self.now

    @property
    def is_within_reach(self) -> bool:
        """Nothing counts less than nothing or more than all, in whole percents."""
        return 0 < round(self.weight, 2) < 1


def weighted(weights: Weights, scores: Scores) -> Score:
    whole = sum(weights.values(), ZERO)
    known = {name: score for name, score in scores.items() if score is not None and weights.get(name, ZERO)}
    weight = sum((weights[name] for name in known), ZERO)
    points = sum((weights[name] * score for name, score in known.items()), ZERO)
    if not whole:
        return Score(None, ZERO, ZERO, HUNDRED)
    value = points / weight if weight else None
    return Score(value, weight / whole, points / whole, (points + (whole - weight) * HUNDRED) / whole)


def points(weights: Weights, scores: Scores) -> dict[str, Decimal]:
    """What each known criterion adds to the score: they sum to it."""
    known = [name for name in weights if scores.get(name) is not None and weights[name]]
    weight = sum((weights[name] for name in known), ZERO)
    return {name: weights[name] * (scores[name] or ZERO) / weight for name in known}


def as_shown(exact: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """The points with two decimals, so that they add up to the score as it is shown: the largest rests are rounded up.

    Points are never negative.
    """
    cut = {name: value.quantize(CENT, rounding=ROUND_FLOOR) for name, value in exact.items()}
    whole = sum(exact.values(), ZERO).quantize(CENT, rounding=ROUND_HALF_UP)
    left = int((whole - sum(cut.values(), ZERO)) / CENT)
    for name in sorted(exact, key=lambda name: cut[name] - exact[name])[:left]:
        cut[name] += CENT
    return cut


def from_cost(cost: Decimal, cheapest: Decimal, account_value: Decimal) -> Decimal:
    """100 for the cheapest, 0 from K dearer; K is fixed by the account, so an added plan moves no other's score."""
    k = max(Decimal(50), account_value * Decimal("0.0025"))
    return HUNDRED * (1 - min(Decimal(1), (cost - cheapest) / k))


def ranking(weights: Weights, plans: Mapping[str, Scores]) -> list[tuple[str, Score]]:
    """Ranked plans, best first; those with too little known are left out. Equal scores keep the order given."""
    scored = [(ref, weighted(weights, scores)) for ref, scores in plans.items()]
    return sorted((entry for entry in scored if entry[1].is_ranked), key=lambda entry: -(entry[1].value or ZERO))


def flips(weights: Weights, plans: Mapping[str, Scores]) -> list[Flip]:
    """For each criterion, the weight at which a lower-ranked plan takes the lead, nearest change first.

    w* = (R1 - R2) / ((R1 - R2) - (s1 - s2)), R = score without the criterion, weights as shares of the whole.
    """
    ranked = ranking(weights, plans)
    whole = sum(weights.values(), ZERO)
    if not whole or len(ranked) < 2:
        return []
    leader = ranked[0][0]
    found = []
    for name, weight in weights.items():
        rest = {other: value for other, value in weights.items() if other != name}
        for ref, _ in ranked[1:]:
            flip = _flip(name, plans[leader], plans[ref], rest)
            if flip is not None and 0 <= flip <= 1:
                found.append(Flip(name, ref, flip, weight / whole))
    nearest: dict[str, Flip] = {}
    for flip_ in sorted(found, key=lambda f: abs(f.weight - f.now)):
        nearest.setdefault(flip_.criterion, flip_)
    return sorted(nearest.values(), key=lambda f: abs(f.weight - f.now))


def _flip(name: str, first: Scores, second: Scores, rest: Weights) -> Decimal | None:
    own, other = first.get(name), second.get(name)
    one, two = weighted(rest, first).value, weighted(rest, second).value
    if own is None or other is None or one is None or two is None:
        return None
    below = (one - two) - (own - other)
    return (one - two) / below if below else None


@dataclass(frozen=True, slots=True)
class Stability:
    first: int
    variants: int

    @property
    def share(self) -> Decimal:
        return Decimal(self.first) / self.variants if self.variants else ZERO


def stability(weights: Weights, plans: Mapping[str, Scores]) -> Stability:
    """How often the leader stays first: each weight 20% up and down, each unknown of the first three at 0 and 100."""
    ranked = ranking(weights, plans)
    if not ranked:
        return Stability(0, 0)
    leader, stays, variants = ranked[0][0], 0, 0
    for name, factor in product(weights, (Decimal("0.8"), Decimal("1.2"))):
        if weights[name]:
            variants += 1
            stays += _leads(leader, {**weights, name: weights[name] * factor}, plans)
    for ref, _ in ranked[:3]:
        for name, bound in product(weights, (ZERO, HUNDRED)):
            if weights[name] and plans[ref].get(name) is None:
                variants += 1
                stays += _leads(leader, weights, {**plans, ref: {**plans[ref], name: bound}})
    return Stability(stays, variants)


def _leads(ref: str, weights: Weights, plans: Mapping[str, Scores]) -> bool:
    """Whether `ref` is first, or level with the first. Other weights may leave too little known to rank anybody."""
    ranked = dict(ranking(weights, plans))
    return ref in ranked and all((ranked[ref].value or ZERO) >= (score.value or ZERO) for score in ranked.values())


def topsis(weights: Weights, plans: Mapping[str, Scores]) -> list[tuple[str, Decimal]]:
    """Closeness to the ideal, best first, over the criteria known of every ranked plan (Hwang and Yoon 1981)."""
    refs = [ref for ref, _ in ranking(weights, plans)]
    names = [name for name in weights if weights[name] and all(plans[ref].get(name) is not None for ref in refs)]
    if not refs or not names:
        return []
    columns = {name: [plans[ref][name] or ZERO for ref in refs] for name in names}
    weighted_columns = {}
    for name, column in columns.items():
        length = sum((value * value for value in column), ZERO).sqrt()
        weighted_columns[name] = [weights[name] * value / length if length else ZERO for value in column]
    found = []
    for place, ref in enumerate(refs):
        best = sum(((max(c) - c[place]) ** 2 for c in weighted_columns.values()), ZERO).sqrt()
        worst = sum(((c[place] - min(c)) ** 2 for c in weighted_columns.values()), ZERO).sqrt()
        found.append((ref, worst / (best + worst) if best + worst else Decimal("0.5")))
    return sorted(found, key=lambda entry: -entry[1])
