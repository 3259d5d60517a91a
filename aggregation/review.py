"""A person decides about two rows that may be one event. A decision holds for later syncs, and can be undone."""

from dataclasses import dataclass
from decimal import Decimal

from django.db import connection, transaction
from django.utils import timezone

from aggregation import legs, near_matches, standing
from aggregation.ledger import hold
from aggregation.models import BookStatus, PossibleDuplicate, Source, Transaction
from aggregation.reconciliation import comparing
from aggregation.review_models import Decision
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from connections.moves import note

REASONS = {
    "id": "Both carry the same id of the broker, but do not say the same",
    "same": "Everything is the same, told in two files",
    "sum": "One may be the sum of the others: an order and its executions",
    "settlement": "The date of one is the settlement date of the other",
    "date": "The dates are some days apart",
    "fees": "The amounts differ by fees or taxes",
    "rounding": "The amounts differ by a rounding",
    "amount": "The amounts differ",
    "units": "The units differ",
    "symbol": "The symbol is spelled differently",
    "kind": "They are called by different kinds",
    "rule": "Your rule gave its word another meaning",
}
COMPARED = (
    "traded_on",
    "settled_on",
    "kind",
    "instrument_id",
    "quantity",
    "price",
    "net_amount",
    "fees",
    "description",
)


def in_words(pair: PossibleDuplicate) -> list[str]:
    return [REASONS[reason] for reason in pair.reasons]


def differing(pair: PossibleDuplicate) -> frozenset[str]:
    """Names of the facts in which the two rows differ."""
    return frozenset(name for name in COMPARED if getattr(pair.first, name) != getattr(pair.second, name))


def verdict(pair: PossibleDuplicate) -> str:
    """What was decided, in words; of a sum also which side counts."""
    if pair.one is None or pair.decision == Decision.OPEN:
        return pair.get_decision_display()
    if pair.decision == Decision.KEPT:
        return "Different, all counted"
    counts = "the one row counts" if pair.kept_id == pair.whole_id else f"the {len(pair.several)} rows count"
    return f"The same: {counts}"


@dataclass(frozen=True, slots=True)
class Together:
    """The several rows of a question added up, and how far their amount is from the one's, not negative."""

    quantity: Decimal
    costs: Decimal
    net_amount: Decimal
    apart: Decimal


def together(pair: PossibleDuplicate) -> Together | None:
    """None for a question about two rows."""
    if pair.one is None:
        return None
    rows = pair.several
    net = sum((row.net_amount for row in rows), Decimal(0))
    return Together(
        quantity=sum((row.quantity or Decimal(0) for row in rows), Decimal(0)),
        costs=sum((row.fees + row.taxes for row in rows), Decimal(0)),
        net_amount=net,
        apart=abs(pair.one.net_amount - net),
    )


@transaction.atomic
def merge(pair: PossibleDuplicate, *, user: User, keep: Transaction | None = None) -> None:
    """Count the event once: by `keep`, or else by the broker's rows, or else the older. The others point at them.

    Where one row is the sum of several, `keep` is that one, or any of the several for all of them. A leg of an event is
    merged together with its other legs. Raises NotAllowed when a row does not count any more, or a leg has no partner.
    """
    question = _locked(pair)
    if {row.status for row in question.rows} - {BookStatus.POSTED, BookStatus.PENDING}:
        raise NotAllowed("One of the rows does not count any more, so there is nothing to merge.")
    chosen = keep or preferred(question)
    if chosen not in question.rows:
        raise NotAllowed("The row to keep is none of these.")
    others = [] if question.whole_id else legs.waiting_beside(question)
    _decide(question, Decision.MERGED, user, kept=chosen)
    for other in others:
        _decide(other, Decision.MERGED, user, kept=legs.beside(chosen, other) or preferred(other))
    _uphold(question)


@transaction.atomic
def keep_both(pair: PossibleDuplicate, *, user: User) -> None:
    """They are different events; nobody is asked again about them."""
    question = _locked(pair)
    _decide(question, Decision.KEPT, user, kept=None)
    _uphold(question)


@transaction.atomic
def reopen(pair: PossibleDuplicate, *, user: User) -> None:
    """Take a decision back: every row counts, and the question waits again, for each leg. Raises NotAllowed."""
    question = _locked(pair)
    if question.decision == Decision.OPEN:
        raise NotAllowed("Nothing was decided about these rows yet.")
    others = legs.merged_beside(question) if question.decision == Decision.MERGED and not question.whole_id else []
    for each in (question, *others):
        _decide(each, Decision.OPEN, user, kept=each.kept)
    _uphold(question)
    undecided = [member.pk for each in (question, *others) for member in each.pairs]
    PossibleDuplicate.objects.filter(pk__in=undecided).update(kept=None, decided_by=None, decided_at=None)


def _locked(pair: PossibleDuplicate) -> PossibleDuplicate:
    """The question as it is now, with the account's only writer being us."""
    hold(pair.account)
    return PossibleDuplicate.objects.for_list().get(pk=pair.leader_id or pair.pk)


def preferred(pair: PossibleDuplicate) -> Transaction:
    """The row that is kept unless the person says otherwise: the broker's, the finer ones of a sum, or the older."""
    return min(pair.rows, key=lambda row: (row.source != Source.API, row.pk == pair.whole_id, row.pk))


def _decide(question: PossibleDuplicate, decision: Decision, user: User, *, kept: Transaction | None) -> None:
    if question.decision == decision or (question.decision != Decision.OPEN and decision != Decision.OPEN):
        raise NotAllowed("This was decided before. Undo the decision first.")
    for pair in question.pairs:
        if decision == Decision.MERGED:
            pair.kept = _kept_of(pair, kept)
        elif decision == Decision.KEPT:
            pair.kept = None
        pair.decision, pair.decided_by, pair.decided_at = decision, user, timezone.now()
        pair.save()
    named = ", ".join(str(row.pk) for row in question.rows)
    note(question.account.connection, "duplicate_decided", actor=user, detail=f"Rows {named}: {decision.label.lower()}")


def _kept_of(pair: PossibleDuplicate, chosen: Transaction | None) -> Transaction | None:
    """The row of `pair` that counts when `chosen` does: of a sum the one, or else the one's other side."""
    if pair.whole_id is None or chosen is None or chosen.pk == pair.whole_id:
        return chosen
    return pair.second if pair.first_id == pair.whole_id else pair.first


def _uphold(question: PossibleDuplicate) -> None:
    """A row that is another one in other words cannot be a third one as well: the questions are looked at again."""
    with connection.cursor() as cursor:
        standing.uphold(cursor, question.account_id)
        near_matches.find_again(cursor, question.account_id, [row.pk for row in question.rows])
    comparing.request([question.account_id])
