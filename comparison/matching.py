"""The recommendation for one request: what was answered and measured, at which usage it turns, what is kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from django.http import QueryDict

from brokerhub.kernel.models import User
from comparison import history, profiles, ratings, recommendation, running, selection, wording
from comparison.catalogue_models import CatalogueChange
from comparison.costs import Tariff
from comparison.models import PublishedFigure
from comparison.profiles import PRESETS, Profile
from comparison.quality_models import FigureKind, PublishedBy
from comparison.recommendation import (
    PRESET_WEIGHTS,
    PRESET_WISHES,
    WEIGHTS,
    Answers,
    Measured,
    Recommendation,
)
from comparison.replay import PlanCost, with_more
from comparison.selection import NotUnderstood
from comparison.simulation_models import RecommendationProfile
from comparison.stored import Catalogue
from connections.brokers.records import Broker
from health import health_monitor
from health.health_monitor import Window

MOST_WEIGHT = 1_000
CLOSEST = 5  # plans among which a change of usage is looked for
MATCH_STAYS = "An IRA match may have to stay for years, or it is taken back."


@dataclass(frozen=True, slots=True)
class Usage:
    """Something people do more or less of: a field of Profile, in words with {n} for how much of it."""

    name: str
    one: str
    many: str

    def words(self, count: int, *, is_more: bool) -> str:
        said = self.one if count == 1 else self.many
        return said.format(n=f"{count:,}", more=" more" if is_more else "")


SEARCHED = (
    Usage("option_trades_a_month", "{n}{more} option trade a month", "{n}{more} option trades a month"),
    Usage("trades_a_month", "{n}{more} stock trade a month", "{n}{more} stock trades a month"),
    Usage("margin", "{n} USD{more} borrowed on margin", "{n} USD{more} borrowed on margin"),
)


@dataclass(frozen=True, slots=True)
class Turn:
    """From how much of something on another plan takes the lead. `is_more`: beyond what the own history has."""

    usage: Usage
    above: int
    is_more: bool
    ref: str
    title: str

    @property
    def words(self) -> str:
        return self.usage.words(self.above, is_more=self.is_more)

    def as_json(self) -> dict[str, Any]:
        said = {"usage": self.usage.name, "from": self.above, "beyond_own_history": self.is_more}
        return said | {"plan": self.ref, "text": f"{self.title} leads from about {self.words}."}


def answers(query: QueryDict, catalogue: Catalogue, profile: Profile, days: int) -> Answers:
    """Needs, wishes and weights as asked; what is not said comes from the preset. Raises NotUnderstood."""
    preset = query.get("preset", "long_term")
    if preset not in PRESETS:
        raise NotUnderstood(f"preset: choose one of {', '.join(PRESETS)}.")
    keys = {definition.key for definition in catalogue.definitions}
    needs = _keys("need", query, keys)
    wishes = _keys("wish", query, keys) if "wish" in query or "wished" in query else PRESET_WISHES[preset]
    return Answers(
        needs=needs,
        wishes=wishes,
        weights=weights(query, preset),
        account_value=profile.account_value,
        idle_cash=profile.idle_cash or Decimal(5_000),
        days=days,
    )


def _keys(name: str, query: QueryDict, known: set[str]) -> tuple[str, ...]:
    said = [key for value in query.getlist(name) for key in value.split(",") if key]
    if unknown := [key for key in said if key not in known]:
        raise NotUnderstood(f"{name}: {unknown[0]!r} is no feature. Known: {', '.join(sorted(known))}.")
    return tuple(dict.fromkeys(said))


def weights(query: QueryDict, preset: str = "") -> dict[str, Decimal]:
    """One number a criterion, `weight_cost=40`; together they count as 100. Raises NotUnderstood."""
    found = {}
    for name, usual in PRESET_WEIGHTS.get(preset, WEIGHTS).items():
        text = query.get(f"weight_{name}", "")
        if text and not (text.isascii() and text.isdigit() and int(text) <= MOST_WEIGHT):
            raise NotUnderstood(f"weight_{name}: a whole number from 0 to {MOST_WEIGHT}.")
        found[name] = Decimal(text or usual)
    if not any(found.values()):
        raise NotUnderstood("At least one criterion must carry weight.")
    return found


def measured(today: date) -> Measured:
    """Reliability out of the hub's own calls of a month, execution out of the one like-for-like study, ratings of
    the hub's users where there are enough."""
    reliability = {}
    for health in health_monitor.board(Window.MONTH):
        rate = health.figures.broker_error_rate
        if rate is not None and health.figures.calls:
            reliability[Broker(health.broker).value] = 1 - Decimal(str(rate))
    figures = PublishedFigure.objects.filter(
        metric=FigureKind.EFFECTIVE_OVER_QUOTED, published_by=PublishedBy.ACADEMICS
    )
    execution = {
        ("ibkr:lite" if figure.name.endswith("Lite") else figure.broker.key): (figure.value.normalize(), figure.period)
        for figure in figures.select_related("broker")
        if figure.broker is not None and "TD Ameritrade" not in figure.name and not figure.name.endswith("Pro")
    }
    rated = {broker: found.average for broker, found in ratings.standings().items() if found.average is not None}
    return Measured(reliability=reliability, execution=execution, ratings=rated)


@dataclass(frozen=True, slots=True)
class Basis:
    """The costs a recommendation stands on: a described year, or the own trades of a period."""

    profile: Profile
    costs: Mapping[str, PlanCost]
    days: int
    is_own: bool


def usage_turns(
    catalogue: Catalogue, given: Basis, asked: Answers, found: Recommendation, known: Measured, today: date
) -> list[Turn]:
    """How much more of something would let another plan win, found by halving; what never turns is left out.

    A described year is changed; own trades stay as they are, and more of the same kind and size are added.
    """
    if not found.ranked:
        return []
    leader = found.ranked[0].ref
    refs = [match.ref for match in found.ranked[:CLOSEST]]
    turns = []
    for usage in SEARCHED:
        costs_with = _with_usage(catalogue, given, usage, refs, today)

        def first(value: int, costs_with: Callable[[int], Mapping[str, PlanCost]] = costs_with) -> str:
            return recommendation.leader(catalogue, asked, costs_with(value), known, today) or leader

        low = 0 if given.is_own else int(getattr(given.profile, usage.name))
        high = next(slider.highest for slider in profiles.SLIDERS if slider.name == usage.name)
        if low >= high or first(high) == leader:
            continue
        while high - low > max(1, high // 200):
            middle = (low + high) // 2
            low, high = (low, middle) if first(middle) != leader else (middle, high)
        ref = first(high)
        turns.append(Turn(usage, high, given.is_own, ref, catalogue.plans[ref].title))
    return turns


def _with_usage(
    catalogue: Catalogue, given: Basis, usage: Usage, refs: list[str], today: date
) -> Callable[[int], Mapping[str, PlanCost]]:
    """The costs as a function of how much there is of `usage`."""
    tariffs = {ref: Tariff(catalogue.plans[ref], catalogue.rates, today) for ref in refs}
    kind = type(getattr(given.profile, usage.name))
    sizes = {name: getattr(given.profile, name) for name in ("shares", "price", "contracts", "premium")}
    sizes["margin_days"] = profiles.DAYS if given.is_own else given.profile.margin_days or profiles.DAYS
    without = given.costs
    if not given.is_own:
        without = profiles.simulate(replace(given.profile, **{usage.name: kind(0)}), tariffs, today)
    share = Decimal(given.days) / profiles.DAYS

    def costs(value: int) -> Mapping[str, PlanCost]:
        more = profiles.extra(Profile(**sizes, **{usage.name: kind(value)}), tariffs, today)  # nosec B610  # a function of ours, not a queryset's
        return {ref: with_more(without[ref], more[ref], share) for ref in refs}

    return costs


def basis(user: User, query: QueryDict, catalogue: Catalogue, today: date) -> Basis:
    """Raises NotUnderstood, or StillPricing where the own trades are too many for one answer."""
    preset = query.get("preset", "long_term")
    profile = selection.numbers(Profile, query, PRESETS.get(preset, PRESETS["long_term"])[1])
    if query.get("mine") == "1":
        wish = selection.wish(user, query)
        found = running.result(user, wish)
        if not found.is_empty:
            sizes: dict[str, Any] = {**history.usual_sizes(user, wish.accounts, wish.since, wish.until)}
            usual = replace(profile, **sizes)
            return Basis(usual, found.plans, (wish.until - wish.since).days + 1, True)
    tariffs = {ref: Tariff(plan, catalogue.rates, today) for ref, plan in catalogue.plans.items()}
    return Basis(profile, profiles.simulate(profile, tariffs, today), profiles.DAYS, False)


def traded(user: User) -> list[tuple[str, int]]:
    """What the own history of a year suggests as needs: feature and how many trades."""
    accounts = [account.pk for account in selection.own_accounts(user)]
    since, until = selection.period(QueryDict())
    rows = history.own(user, accounts).filter(traded_on__range=(since, until), kind__in=list(history.TRADES))
    counts = {"options": 0, "us_stocks_etfs": 0, "mutual_funds": 0, "bonds": 0, "spot_crypto": 0, "futures": 0}
    classes = {"option": "options", "equity": "us_stocks_etfs", "etf": "us_stocks_etfs", "fund": "mutual_funds"}
    classes |= {"bond": "bonds", "crypto": "spot_crypto", "future": "futures"}
    for kind in rows.values_list("instrument__asset_class", flat=True):
        if kind in classes:
            counts[classes[kind]] += 1
    return [(key, count) for key, count in counts.items() if count]


def switching(user: User, catalogue: Catalogue, today: date) -> list[tuple[str, str, str]]:
    """What leaving the own brokers costs: broker, price of a whole transfer, and what else may be lost."""
    found = []
    brokers = {account.connection.broker for account in selection.own_accounts(user)}
    first = {plan.broker: (ref, plan) for ref, plan in reversed(catalogue.plans.items())}
    for broker in sorted(brokers & first.keys()):
        ref, plan = first[broker]
        rule = Tariff(plan, catalogue.rates).rule("acats_out_full", today)
        fee = wording.headline(rule) if rule is not None else "unknown"
        match = catalogue.answers.get((ref, "ira_match_pct"))
        found.append((catalogue.brokers[broker], fee, MATCH_STAYS if match and match.value not in (None, "0") else ""))
    return found


def keep(user: User, name: str, query: QueryDict, catalogue: Catalogue, found: Recommendation) -> RecommendationProfile:
    return RecommendationProfile.objects.create(
        user=user,
        name=name[:80] or "Recommendation",
        inputs={key: query.getlist(key) for key in query if key not in ("csrfmiddlewaretoken", "name")},
        catalogue_version=catalogue.version,
        result=recommendation.as_json(found),
    )


def query_of(kept: RecommendationProfile) -> QueryDict:
    query = QueryDict(mutable=True)
    for name, values in kept.inputs.items():
        query.setlist(name, values)
    return query


def what_changed(kept: RecommendationProfile, now: Recommendation, version: int) -> list[str]:
    """In sentences: how the result differs from the one kept, and how many facts changed since."""
    then: dict[str, Any] = {row["plan"]: row for row in kept.result.get("ranked", [])}
    said = []
    facts = CatalogueChange.objects.filter(pk__gt=kept.catalogue_version, pk__lte=version).count()
    if facts:
        said.append(f"{facts} fact{'' if facts == 1 else 's'} of the catalogue changed since.")
    if then and now.ranked and next(iter(then)) != now.ranked[0].ref:
        said.append(f"{now.ranked[0].title} leads now; it was {next(iter(then.values()))['title']}.")
    for match in now.ranked:
        old = then.get(match.ref)
        if old is None:
            said.append(f"{match.title} was not ranked then.")
        elif match.score.value is not None and f"{match.score.value:.2f}" != old["score"]:
            said.append(f"{match.title}: {old['score']} then, {match.score.value:.2f} now.")
    return said or ["Nothing changed."]
