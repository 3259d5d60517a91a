"""What a person decides about the identity of instruments: merge, keep apart, undo. Theirs alone, and kept.

The books are not touched. The last word counts: whoever merges two groups takes back what they had kept apart between
them, whoever takes an instrument out of its group takes back the merges that brought it there.
"""

from collections.abc import Iterable
from itertools import product

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from aggregation.models import Instrument, InstrumentChoice, Position, Transaction
from aggregation.positions.identity import Things, family, number_of
from aggregation.positions.naming import spelled
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from connections.models import Account


def things_among(user: User, rows: Iterable[Instrument]) -> Things:
    """The identity of these rows, and of those the person's decisions speak of. One query."""
    own = list(InstrumentChoice.objects.for_user(user).select_related("instrument", "other"))
    known = {row.pk: row for row in rows}
    for choice in own:
        known.setdefault(choice.instrument_id, choice.instrument)
        if choice.other is not None:
            known.setdefault(choice.other.pk, choice.other)
    return Things(known.values(), own)


def instruments_of(user: User) -> list[Instrument]:
    """All that the person's accounts hold or held."""
    held = Position.objects.for_user(user).values("instrument")
    return list(Instrument.objects.filter(pk__in=held).order_by("pk"))


def known_to(user: User) -> QuerySet[Instrument]:
    """All that the person's accounts hold, held or moved. Another's instruments are not there for them."""
    held = Exists(Position.objects.for_user(user).filter(instrument=OuterRef("pk")))
    moved = Exists(Transaction.objects.for_user(user).filter(instrument=OuterRef("pk")))
    return Instrument.objects.filter(held | moved)


def decided(user: User) -> QuerySet[InstrumentChoice]:
    """The person's decisions, the last one first."""
    own = InstrumentChoice.objects.for_user(user).select_related("instrument", "other", "account__connection")
    return own.order_by("-decided_at", "-pk")


def about(instruments: Iterable[int]) -> Q:
    """Decisions that speak of any of these."""
    ids = list(instruments)
    return Q(instrument__in=ids) | Q(other__in=ids)


def same_as(user: User, instrument: Instrument) -> frozenset[int]:
    """The ids of all rows that are the same thing for this person, this one among them. Two queries."""
    alike = Q(symbol=spelled(instrument.symbol, instrument.asset_class, instrument.currency)) | Q(pk=instrument.pk)
    for name in ("cusip", "isin", "conid"):
        if value := getattr(instrument, name):
            alike |= Q(**{name: value})
    held = Position.objects.for_user(user).values("instrument")
    return things_among(user, Instrument.objects.filter(alike | Q(pk__in=held))).members(instrument.pk)


def _things(user: User, *rows: Instrument) -> Things:
    return things_among(user, [*instruments_of(user), *rows])


@transaction.atomic
def merge(user: User, one: Instrument, other: Instrument) -> InstrumentChoice:
    """From now on the two are one for this person. Raises NotAllowed where they have nothing in common to be added."""
    if one.pk == other.pk:
        raise NotAllowed("This is one instrument already.")
    if one.currency != other.currency:
        raise NotAllowed(
            f"{one} is counted in {one.currency}, {other} in {other.currency}: their costs cannot be added."
        )
    if family(one.asset_class) != family(other.asset_class):
        raise NotAllowed("They are of different kinds, so they cannot be the same.")
    if one.multiplier != other.multiplier:
        raise NotAllowed("One unit of the one is not one unit of the other, so they cannot be added.")
    things = _things(user, one, other)
    between = Q()
    for pair in product(things.members(one.pk), things.members(other.pk)):
        between |= Q(instrument=min(pair), other=max(pair))
    InstrumentChoice.objects.for_user(user).filter(between, is_same=False).delete()
    return _decide(user, one, other, is_same=True)


@transaction.atomic
def keep_apart(user: User, one: Instrument, other: Instrument) -> InstrumentChoice:
    """The two are different things, whatever they look like."""
    if one.pk == other.pk:
        raise NotAllowed("This is one instrument; what one account holds of it can be kept apart.")
    return _decide(user, one, other, is_same=False)


@transaction.atomic
def take_out(user: User, instrument: Instrument) -> list[InstrumentChoice]:
    """Take one row out of the group it is in. Raises NotAllowed when it is alone."""
    others = _things(user, instrument).members(instrument.pk) - {instrument.pk}
    if not others:
        raise NotAllowed("It is not put together with anything.")
    return [_decide(user, instrument, row, is_same=False) for row in Instrument.objects.filter(pk__in=others)]


@transaction.atomic
def take_account_out(user: User, instrument: Instrument, account: Account) -> InstrumentChoice:
    """What this account holds of the instrument is another thing than what the others hold."""
    choice, _ = InstrumentChoice.objects.get_or_create(
        user=user, instrument=instrument, account=account, defaults={"is_same": False}
    )
    _compare_again(choice)
    return choice


def _decide(user: User, one: Instrument, other: Instrument, *, is_same: bool) -> InstrumentChoice:
    first, second = sorted((one, other), key=lambda row: row.pk)
    choice, _ = InstrumentChoice.objects.update_or_create(
        user=user, instrument=first, other=second, defaults={"is_same": is_same}
    )
    _compare_again(choice)
    return choice


@transaction.atomic
def undo(choice: InstrumentChoice) -> None:
    """As if it had never been decided: what the identifiers prove holds again."""
    _compare_again(choice)
    choice.delete()


def _compare_again(choice: InstrumentChoice) -> None:
    """What a broker reports is held against the books thing by thing."""
    from aggregation.reconciliation import comparing  # which itself asks here what is one thing

    comparing.request_for(choice.user, [pk for pk in (choice.instrument_id, choice.other_id) if pk is not None])


def why(rows: Iterable[Instrument]) -> str:
    """Why some rows are one thing, in words."""
    known = list(rows)
    numbers, contracts = {number_of(row) for row in known}, {row.conid for row in known}
    if len(numbers) == 1 and "" not in numbers:
        return "The same ISIN or CUSIP"
    if len(contracts) == 1 and "" not in contracts:
        return "The same contract at Interactive Brokers"
    if len({spelled(row.symbol, row.asset_class, row.currency) for row in known}) == 1:
        return "The same symbol, spelled differently"
    return "Several reasons, or your own decision"
