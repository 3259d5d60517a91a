"""Which plan matches the answers somebody gave, and why: filters, scores with their parts, and how firm it is. Pure.

Information, not advice. Only a known "no" excludes; what is unknown is listed as not confirmed. The points of a plan
add up to its score, so a reader can compute it again. Source: comparison method, section 8.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from comparison import features, freshness, interest, scoring, wording
from comparison.costs import Tariff
from comparison.replay import PlanCost
from comparison.scoring import Flip, Score, Stability
from comparison.stored import Answer, Catalogue
from comparison.terms import ZERO, Confidence

HUNDRED = Decimal(100)
CRITERIA = {
    "cost": "What it costs",
    "features": "What you would like it to have",
    "cash": "Interest on idle cash",
    "hub": "Access for programs and the hub",
    "execution": "Execution quality",
    "ratings": "Ratings of hub users",
    "safety": "Safety",
}
WEIGHTS = {"cost": 35, "features": 25, "cash": 0, "hub": 15, "execution": 10, "ratings": 10, "safety": 5}
PRESET_WEIGHTS: dict[str, dict[str, int]] = {
    "long_term": WEIGHTS | {"cost": 30, "cash": 10, "hub": 10},
    "active_stocks": WEIGHTS | {"cost": 40, "execution": 15, "hub": 5},
    "options": WEIGHTS | {"cost": 40, "execution": 10, "hub": 10},
    "margin": WEIGHTS | {"cost": 50, "features": 20, "hub": 10, "ratings": 5},
    "international": WEIGHTS | {"cost": 30, "features": 35, "hub": 10},
    "developer": WEIGHTS | {"cost": 20, "features": 20, "hub": 40, "ratings": 5},
}
PRESET_WISHES: dict[str, tuple[str, ...]] = {
    "long_term": ("fractional", "drip", "acct_ira", "mutual_funds", "bonds", "tax_lot_choice", "mobile_app"),
    "active_stocks": ("extended_hours", "short_selling", "direct_routing", "desktop_platform", "tax_lot_choice"),
    "options": ("options", "index_options", "options_top_level", "paper_trading", "desktop_platform"),
    "margin": ("short_selling", "options", "securities_lending", "desktop_platform"),
    "international": ("intl_markets", "multi_currency", "forex", "fractional"),
    "developer": ("api_read", "api_trade", "api_oauth", "api_paper"),
}
HUB = ("api_read", "api_oauth", "api_paper")
SAFETY = ("sipc", "excess_sipc")
YEAR = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What somebody said they need. `days`: how many days the costs cover."""

    needs: tuple[str, ...] = ()
    wishes: tuple[str, ...] = ()
    weights: Mapping[str, Decimal] = field(default_factory=lambda: {k: Decimal(v) for k, v in WEIGHTS.items()})
    account_value: Decimal = Decimal(25_000)
    idle_cash: Decimal = Decimal(5_000)
    days: int = YEAR


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What comes from outside the catalogue, each by broker or plan; a missing key is unknown."""

    reliability: Mapping[str, Decimal] = field(default_factory=dict)  # share of calls that worked, 0..1, by broker
    execution: Mapping[str, tuple[Decimal, str]] = field(default_factory=dict)  # E/Q and its period, by broker or plan
    ratings: Mapping[str, Decimal] = field(default_factory=dict)  # 1..5, by broker


@dataclass(frozen=True, slots=True)
class Reason:
    """One criterion of one plan, as a row of the explanation."""

    criterion: str
    raw: str
    score: Decimal | None
    weight: Decimal  # percent of all weight
    points: Decimal | None
    as_of: str
    unverified: Decimal  # share (0..1) of what it rests on that is stale or not verified
    shown: Decimal | None = None  # the points with two decimals, which add up to the score as it is shown

    @property
    def label(self) -> str:
        return CRITERIA[self.criterion]


@dataclass(frozen=True, slots=True)
class Match:
    ref: str
    title: str
    score: Score
    reasons: tuple[Reason, ...]
    open: tuple[str, ...]  # needs nobody confirmed

    @property
    def unverified(self) -> Decimal:
        """The share of its points that rests on stale or unverified facts."""
        whole = sum((reason.points or ZERO for reason in self.reasons), ZERO)
        resting = sum(((reason.points or ZERO) * reason.unverified for reason in self.reasons), ZERO)
        return resting / whole if whole else ZERO

    @property
    def pros(self) -> list[Reason]:
        good = [r for r in self.reasons if r.score is not None and r.score >= 60 and r.weight]
        return sorted(good, key=lambda reason: -(reason.points or ZERO))[:3]

    @property
    def cons(self) -> list[Reason]:
        bad = [r for r in self.reasons if r.score is not None and r.score < 60 and r.weight]
        return sorted(bad, key=lambda r: -(HUNDRED - (r.score or ZERO)) * r.weight)[:3]


@dataclass(frozen=True, slots=True)
class Recommendation:
    ranked: tuple[Match, ...]
    unranked: tuple[Match, ...]  # too little known
    excluded: tuple[tuple[str, tuple[str, ...]], ...]  # title and what it lacks
    flips: tuple[tuple[Flip, str], ...]  # and the other plan's title
    stability: Stability
    topsis: tuple[tuple[str, Decimal], ...]

    @property
    def is_clear(self) -> bool:
        if not self.ranked:
            return False
        return self.lead >= scoring.CLOSE and self.stability.share >= scoring.FIRM

    @property
    def lead(self) -> Decimal:
        """Points between the first and the second."""
        if len(self.ranked) < 2:
            return HUNDRED
        return (self.ranked[0].score.value or ZERO) - (self.ranked[1].score.value or ZERO)

    @property
    def other_leader(self) -> str:
        """Who leads by the second opinion, where it is somebody else."""
        if not self.ranked or not self.topsis or self.topsis[0][0] == self.ranked[0].ref:
            return ""
        return next(match.title for match in self.ranked if match.ref == self.topsis[0][0])


def recommend(
    catalogue: Catalogue, answers: Answers, costs: Mapping[str, PlanCost], measured: Measured, today: date
) -> Recommendation:
    fits = {fit.ref: fit for fit in features.fits(catalogue, catalogue.plans, answers.needs)}
    left = [ref for ref, fit in fits.items() if not fit.is_excluded]
    scorer = _Scorer(catalogue, answers, costs, measured, today, left)
    rows = {ref: scorer.rows(ref) for ref in left}
    scores = {ref: {row.criterion: row.score for row in found} for ref, found in rows.items()}
    weights = answers.weights
    total = {ref: scoring.weighted(weights, scores[ref]) for ref in left}
    titles = {ref: plan.title for ref, plan in catalogue.plans.items()}
    matches = {ref: Match(ref, titles[ref], total[ref], tuple(rows[ref]), fits[ref].open) for ref in left}
    ranked = [matches[ref] for ref, _ in scoring.ranking(weights, scores)]
    return Recommendation(
        ranked=tuple(ranked),
        unranked=tuple(match for match in matches.values() if match not in ranked),
        excluded=tuple((titles[ref], fit.misses) for ref, fit in fits.items() if fit.is_excluded),
        flips=tuple((flip, titles[flip.other]) for flip in scoring.flips(weights, scores) if flip.is_within_reach),
        stability=scoring.stability(weights, scores),
        topsis=tuple(scoring.topsis(weights, scores)),
    )


def leader(
    catalogue: Catalogue, answers: Answers, costs: Mapping[str, PlanCost], measured: Measured, today: date
) -> str:
    """Who is first of the plans in `costs`; "" when none can be ranked. For asking "what if" many times."""
    scorer = _Scorer(catalogue, answers, costs, measured, today, list(costs))
    scores = {ref: {row.criterion: row.score for row in scorer.rows(ref)} for ref in costs}
    return next((ref for ref, _ in scoring.ranking(answers.weights, scores)), "")


def unpriced(cost: PlanCost) -> list[str]:
    """The prices of the broker's own that are not known: a sum without its margin rate must not look cheap. Small
    regulatory fees that are not known stay named beside the sum."""
    return [item for item in cost.unknown if item not in freshness.REGULATORY]


class _Scorer:
    def __init__(
        self,
        catalogue: Catalogue,
        answers: Answers,
        costs: Mapping[str, PlanCost],
        measured: Measured,
        today: date,
        refs: Sequence[str],
    ) -> None:
        self.catalogue, self.answers, self.costs, self.measured, self.today = catalogue, answers, costs, measured, today
        yearly = [self.yearly(ref) for ref in refs if not costs[ref].impossible and not unpriced(costs[ref])]
        self.cheapest = min(yearly, default=ZERO)

    def yearly(self, ref: str) -> Decimal:
        """The middle of the sum's range, over a year."""
        cost = self.costs[ref]
        return (cost.low + cost.high) / 2 * YEAR / self.answers.days

    def rows(self, ref: str) -> list[Reason]:
        found = {
            "cost": self.cost(ref),
            "features": self.features(ref, self.answers.wishes),
            "cash": self.cash(ref),
            "hub": self.hub(ref),
            "execution": self.execution(ref),
            "ratings": self.ratings(ref),
            "safety": self.features(ref, SAFETY),
        }
        weights = self.answers.weights
        whole = sum(weights.values(), ZERO)
        points = scoring.points(weights, {name: row[1] for name, row in found.items()})
        shown = scoring.as_shown(points)
        return [
            Reason(
                name,
                raw,
                score,
                weights[name] / whole * 100 if whole else ZERO,
                points.get(name),
                as_of,
                unsure,
                shown.get(name),
            )
            for name, (raw, score, as_of, unsure) in found.items()
        ]

    def cost(self, ref: str) -> tuple[str, Decimal | None, str, Decimal]:
        cost = self.costs[ref]
        if cost.impossible:
            return f"{sum(cost.impossible.values())} trades are not possible there", None, "", ZERO
        if missing := unpriced(cost):
            return f"not known: {', '.join(map(wording.label_of, missing))}", None, "", ZERO
        yearly = self.yearly(ref)
        raw = f"{wording.money(yearly.quantize(Decimal('0.01')))} USD a year"
        if cost.unknown:
            raw += ", without " + ", ".join(wording.label_of(item) for item in cost.unknown)
        unsure = self._unsure_cost(ref)
        score = scoring.from_cost(max(yearly, self.cheapest), self.cheapest, self.answers.account_value)
        return raw, score, self.today.isoformat(), unsure

    def _unsure_cost(self, ref: str) -> Decimal:
        """The share of the sum whose price is stale or not verified."""
        tariff = Tariff(self.catalogue.plans[ref], self.catalogue.rates, self.today)
        whole = unsure = ZERO
        for item, entry in self.costs[ref].items.items():
            rule = tariff.rule(item, self.today)
            whole += entry.high if entry.counted else ZERO
            stale = rule is not None and (
                rule.confidence == Confidence.NOT_VERIFIED
                or freshness.rule_is_stale(rule, self.today, self.catalogue.policy)
            )
            unsure += entry.high if entry.counted and stale else ZERO
        return unsure / whole if whole else ZERO

    def features(self, ref: str, keys: Sequence[str]) -> tuple[str, Decimal | None, str, Decimal]:
        score = features.score(self.catalogue, ref, keys)
        known = [answer for key in keys if (answer := self.answer(ref, key)).value is not None]
        if score is None:
            return ("nothing asked for" if not keys else "unknown"), None, "", ZERO
        labels = {definition.key: definition for definition in self.catalogue.definitions}
        missing = [labels[key].label for key in keys if features.share(labels[key], self.answer(ref, key).value) == 0]
        raw = f"{len(known) - len(missing)} of {len(keys)}"
        raw += f", not: {', '.join(missing)}" if missing else ""
        unsure = sum(self.is_unsure(answer) for answer in known)
        dates = sorted(answer.as_of for answer in known)
        return raw, score, dates[0] if dates else "", Decimal(unsure) / len(known)

    def answer(self, ref: str, key: str) -> Answer:
        return self.catalogue.answers.get((ref, key), features.UNKNOWN)

    def is_unsure(self, answer: Answer) -> bool:
        stale = freshness.why_stale(answer.as_of, "feature", self.today)
        return answer.confidence == Confidence.NOT_VERIFIED or bool(stale)

    def cash(self, ref: str) -> tuple[str, Decimal | None, str, Decimal]:
        plan = self.catalogue.plans[ref]
        tariff = Tariff(plan, self.catalogue.rates, self.today)
        line = interest.cash(tariff, self.answers.idle_cash, YEAR, self.today, self.answers.account_value)
        policy = self.catalogue.rates.benchmark(freshness.POLICY_RATE, self.today)
        if line.low is None or line.high is None or policy is None or not self.answers.idle_cash:
            return line.why or "no idle cash", None, "", ZERO
        earned = (line.low + line.high) / 2
        best = self.answers.idle_cash * policy.value / HUNDRED
        unsure = bool(freshness.rule_is_stale(line.rule, self.today, self.catalogue.policy))
        raw = f"{wording.money(earned.quantize(Decimal('0.01')))} USD a year on your idle cash"
        return raw, HUNDRED * min(Decimal(1), earned / best), line.rule.as_of, Decimal(unsure)

    def hub(self, ref: str) -> tuple[str, Decimal | None, str, Decimal]:
        """Six tenths what programs may do there, four tenths how reliably it answers the hub, where measured."""
        raw, score, as_of, unsure = self.features(ref, HUB)
        works = self.measured.reliability.get(self.catalogue.plans[ref].broker)
        if works is None or score is None:
            return f"ways in {raw}; not measured by the hub", score, as_of, unsure
        both = score * Decimal("0.6") + works * HUNDRED * Decimal("0.4")
        return f"ways in {raw}; {works * 100:.2f}% of the hub's calls worked", both, as_of, unsure * Decimal("0.6")

    def execution(self, ref: str) -> tuple[str, Decimal | None, str, Decimal]:
        """Effective over quoted spread out of the one study that sent the same orders to several brokers."""
        found = self.measured.execution.get(ref) or self.measured.execution.get(self.catalogue.plans[ref].broker)
        if found is None:
            return "no like-for-like measurement", None, "", ZERO
        ratio, period = found
        last = period.split("..")[-1]
        unsure = bool(freshness.why_stale(last, "execution", self.today))
        return f"effective over quoted spread {ratio}", HUNDRED * (1 - min(Decimal(1), ratio)), period, Decimal(unsure)

    def ratings(self, ref: str) -> tuple[str, Decimal | None, str, Decimal]:
        stars = self.measured.ratings.get(self.catalogue.plans[ref].broker)
        if stars is None:
            return "too few ratings", None, "", ZERO
        return f"{stars:.1f} of 5", (stars - 1) * 25, self.today.isoformat(), ZERO


def as_json(found: Recommendation) -> dict[str, Any]:
    """What is kept of a recommendation, and given by the API: scores as strings."""

    def text(value: Decimal | None) -> str | None:
        return None if value is None else str(value.quantize(scoring.CENT, rounding=ROUND_HALF_UP))

    def match(one: Match) -> dict[str, Any]:
        return {
            "plan": one.ref,
            "title": one.title,
            "score": text(one.score.value),
            "coverage": text(one.score.coverage),
            "low": text(one.score.low),
            "high": text(one.score.high),
            "not_confirmed": list(one.open),
            "reasons": [
                {
                    "criterion": reason.criterion,
                    "raw": reason.raw,
                    "score": text(reason.score),
                    "weight": text(reason.weight),
                    "points": text(reason.shown),
                    "as_of": reason.as_of,
                }
                for reason in one.reasons
            ],
        }

    return {
        "is_clear": found.is_clear,
        "lead": text(found.lead),
        "ranked": [match(one) for one in found.ranked],
        "unranked": [match(one) for one in found.unranked],
        "excluded": [{"title": title, "lacks": list(lacks)} for title, lacks in found.excluded],
        "flips": [
            {"criterion": flip.criterion, "plan": flip.other, "weight": text(flip.weight), "now": text(flip.now)}
            for flip, _ in found.flips
        ],
        "first_in": found.stability.first,
        "variants": found.stability.variants,
        "second_opinion": [{"plan": ref, "closeness": text(closeness)} for ref, closeness in found.topsis],
    }
