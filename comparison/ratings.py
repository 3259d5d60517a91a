"""Ratings by the hub's users: who may rate, one for each broker, checked by people before they are published."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import Avg, Case, Count, DecimalField, F, Q, Sum, Value, When
from django.utils import timezone

from brokerhub.kernel.errors import HubError, NotAllowed
from brokerhub.kernel.models import User
from comparison.models import BrokerRating, ComparisonBroker, RatingEvent, RatingReport
from comparison.rating_models import ASPECTS, RatingState, working_connections
from comparison.rating_rules import (
    ENOUGH_FOR_PRIOR,
    ENOUGH_TO_SHOW,
    NOBODY,
    PRIOR_WHILE_FEW,
    STARS,
    UNVERIFIED_WEIGHT,
    Standing,
    bayesian,
    cleaned,
    objection,
)
from connections.brokers.records import Broker

ACCOUNT_AGE = timedelta(days=7)
DAY = timedelta(days=1)
NEW_A_DAY = 1
CHANGES_A_DAY = 10
REPORTS_A_DAY = 20


class UnknownBroker(HubError):
    """No broker of the comparison has this key; the text names those that are known."""

    status: ClassVar[int] = 404
    code: ClassVar[str] = "unknown_broker"


class TooMany(HubError):
    status: ClassVar[int] = 429
    code: ClassVar[str] = "throttled"


class AgainstTheRules(HubError):
    """The text breaks a rule for texts; it says which."""

    code: ClassVar[str] = "against_the_rules"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What a person says: stars from 1 to 5, None where they say nothing."""

    overall: int
    fees: int | None = None
    platform: int | None = None
    support: int | None = None
    reliability: int | None = None
    sync: int | None = None
    text: str = ""
    shows_name: bool = False


def broker_by_key(key: str) -> ComparisonBroker:
    found = ComparisonBroker.objects.filter(key=key).first()
    if found is None:
        known = ", ".join(ComparisonBroker.objects.order_by("key").values_list("key", flat=True)) or "none yet"
        raise UnknownBroker(f"There is no broker {key[:40]!r}. Known are: {known}.")
    return found


# --- What a person may do with their own ------------------------------------------------------------------------------
def why_not(user: User, broker: ComparisonBroker) -> str:
    """Why this person may not rate this broker now, and what to do about it; "" when they may."""
    now = timezone.now()
    if broker.key not in Broker.values:
        return f"The hub cannot connect accounts at {broker.name} yet, so it cannot know who is a customer there."
    if not working_connections(user, broker.key, now).exists():
        return (
            f"Only customers rate a broker here: connect your account at {broker.name} by its sign-in or a key first. "
            "An import by file is no proof."
        )
    if now - user.date_joined < ACCOUNT_AGE:
        ready = (user.date_joined + ACCOUNT_AGE).date()
        return f"Your account here is new. You can rate brokers from {ready:%B} {ready.day}, {ready.year}."
    return ""


@transaction.atomic
def submit(user: User, broker: ComparisonBroker, opinion: Opinion) -> tuple[BrokerRating, bool]:
    """Keep the opinion, in place of an earlier one; True when it is the first. It waits to be checked.

    Raises NotAllowed, TooMany, or AgainstTheRules.
    """
    User.objects.select_for_update().get(pk=user.pk)  # so that limits hold for requests at once
    if reason := why_not(user, broker):
        raise NotAllowed(reason)
    text = cleaned(opinion.text)
    if against := objection(text):
        raise AgainstTheRules(against)
    rating = BrokerRating.objects.filter(user=user, broker=broker).first()
    is_new = rating is None
    _check_limits(user, is_new=is_new)
    rating = rating or BrokerRating(user=user, broker=broker)
    for name, value in (asdict(opinion) | {"text": text}).items():
        setattr(rating, name, value)
    rating.state, rating.reason, rating.written_at = RatingState.PENDING, "", timezone.now()
    rating.full_clean()
    rating.save()
    _note(rating, "written" if is_new else "changed", actor=user, said=asdict(opinion) | {"text": text})
    return rating, is_new


def _check_limits(user: User, *, is_new: bool) -> None:
    since = timezone.now() - DAY
    if is_new and BrokerRating.objects.for_user(user).filter(created_at__gte=since).count() >= NEW_A_DAY:
        raise TooMany("You have rated another broker within the last day. Come back tomorrow.")
    own = RatingEvent.objects.filter(actor=user, action__in=["written", "changed", "withdrawn"], at__gte=since)
    if own.count() >= CHANGES_A_DAY:
        raise TooMany(f"You have changed your ratings {CHANGES_A_DAY} times within the last day. Come back tomorrow.")


@transaction.atomic
def withdraw(user: User, broker: ComparisonBroker) -> None:
    """Take one's rating back: it counts no more and its text is gone. Raises NotAllowed where there is none."""
    rating = BrokerRating.objects.select_for_update().filter(user=user, broker=broker).first()
    if rating is None or rating.state == RatingState.WITHDRAWN:
        raise NotAllowed(f"You have no rating of {broker.name} to withdraw.")
    rating.state, rating.text, rating.reason = RatingState.WITHDRAWN, "", ""
    rating.save(update_fields=["state", "text", "reason"])
    RatingEvent.objects.filter(rating=rating).update(said={})  # what was said goes, that it was said stays
    _note(rating, "withdrawn", actor=user)


@transaction.atomic
def report(user: User, rating: BrokerRating, reason: str) -> bool:
    """Tell the operators that a published rating breaks the rules; False when this person has told before."""
    if rating.user_id == user.pk:
        raise NotAllowed("This is your own rating: change or withdraw it.")
    reason = cleaned(reason)[:300]
    if not reason:
        raise AgainstTheRules("Say what is wrong with it.")
    if RatingReport.objects.filter(reporter=user, at__gte=timezone.now() - DAY).count() >= REPORTS_A_DAY:
        raise TooMany("You have reported many ratings today. Come back tomorrow.")
    _, is_new = RatingReport.objects.get_or_create(rating=rating, reporter=user, defaults={"reason": reason})
    if is_new:
        _note(rating, "reported", actor=user, reason=reason)
    return is_new


# --- What operators do ------------------------------------------------------------------------------------------------
def approve(rating: BrokerRating, *, actor: User) -> None:
    _decide(rating, RatingState.APPROVED, actor=actor, reason="")


def reject(rating: BrokerRating, *, actor: User, reason: str) -> None:
    _decide(rating, RatingState.REJECTED, actor=actor, reason=reason)


def hide(rating: BrokerRating, *, actor: User, reason: str) -> None:
    _decide(rating, RatingState.HIDDEN, actor=actor, reason=reason)


MAY_BECOME = {
    RatingState.APPROVED: {RatingState.PENDING, RatingState.REJECTED, RatingState.HIDDEN},
    RatingState.REJECTED: {RatingState.PENDING},
    RatingState.HIDDEN: {RatingState.APPROVED},
}


@transaction.atomic
def _decide(rating: BrokerRating, state: RatingState, *, actor: User, reason: str) -> None:
    rating = BrokerRating.objects.select_for_update(of=("self",)).select_related("broker").get(pk=rating.pk)
    if rating.user_id == actor.pk:
        raise NotAllowed("Somebody else has to decide about your own rating.")
    if rating.status not in MAY_BECOME[state]:
        raise NotAllowed(f"It is {rating.status.label.lower()} and cannot become {state.label.lower()}.")
    reason = reason.strip()[:300]
    if state is not RatingState.APPROVED and not reason:
        raise NotAllowed("Give a reason; its author reads it.")
    rating.state, rating.reason = state, reason
    rating.save(update_fields=["state", "reason"])
    rating.reports.filter(settled_at=None).update(settled_at=timezone.now())
    _note(rating, state.value, actor=actor, reason=reason)


def _note(
    rating: BrokerRating, action: str, *, actor: User, reason: str = "", said: Mapping[str, object] | None = None
) -> None:
    RatingEvent.objects.create(rating=rating, action=action, actor=actor, reason=reason, said=said or {})


# --- What everybody sees ----------------------------------------------------------------------------------------------
def standings() -> dict[str, Standing]:
    """By broker's key, of brokers with a published rating. Three queries, however many ratings there are."""
    published = BrokerRating.objects.published()
    weight = Case(When(is_verified=True, then=Value(Decimal(1))), default=Value(UNVERIFIED_WEIGHT))
    told = (
        published.with_verified()
        .values("broker__key", "overall")
        .annotate(
            count=Count("pk"),
            verified=Count("pk", filter=Q(is_verified=True)),
            weight=Sum(weight, output_field=DecimalField(max_digits=20, decimal_places=1)),
        )
        .order_by("broker__key")
    )
    rows: dict[str, list[Any]] = {}
    for row in told:
        rows.setdefault(row["broker__key"], []).append(row)
    prior, aspects = _prior(), _aspects()
    return {key: _standing(found, prior, aspects.get(key, {})) for key, found in rows.items()}


def standing(broker: ComparisonBroker) -> Standing:
    return standings().get(broker.key, NOBODY)


def _prior() -> Decimal:
    all_of_them = BrokerRating.objects.published().aggregate(mean=Avg("overall"), count=Count("pk"))
    if all_of_them["count"] < ENOUGH_FOR_PRIOR:
        return PRIOR_WHILE_FEW
    return Decimal(str(all_of_them["mean"]))


def _aspects() -> dict[str, dict[str, Decimal]]:
    figures: dict[str, Any] = {f"{name}_mean": Avg(name, output_field=DecimalField()) for name in ASPECTS}
    figures |= {f"{name}_count": Count(name) for name in ASPECTS}
    found: Any = BrokerRating.objects.published().values(key=F("broker__key")).annotate(**figures).order_by("key")
    return {
        row["key"]: {name: row[f"{name}_mean"] for name in ASPECTS if row[f"{name}_count"] >= ENOUGH_TO_SHOW}
        for row in found
    }


def _standing(rows: list[Any], prior: Decimal, aspects: Mapping[str, Decimal]) -> Standing:
    counts = {row["overall"]: row["count"] for row in rows}
    weights = {row["overall"]: row["weight"] for row in rows}
    verified = sum(row["verified"] for row in rows)
    count = sum(counts.values())
    if count < ENOUGH_TO_SHOW:
        return Standing(count, verified, None, None, {}, {})
    total = sum((stars * weight for stars, weight in weights.items()), Decimal(0))
    return Standing(
        count=count,
        verified=verified,
        mean=Decimal(sum(stars * number for stars, number in counts.items())) / count,
        average=bayesian(prior, total, sum(weights.values(), Decimal(0))),
        histogram={stars: counts.get(stars, 0) for stars in STARS},
        aspects=aspects,
    )
