"""A person decides about two rows that may be one event. A decision holds for later syncs, and can be undone."""

from django.db import connection, transaction
from django.utils import timezone

from aggregation import standing
from aggregation.ledger import hold
from aggregation.models import BookStatus, PossibleDuplicate, Source, Transaction
from aggregation.review_models import Decision
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from connections.moves import note

REASONS = {
    "same": "Everything is the same, told in two files",
    "settlement": "The date of one is the settlement date of the other",
    "date": "The dates are some days apart",
    "fees": "The amounts differ by fees or taxes",
    "rounding": "The amounts differ by a rounding",
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


@transaction.atomic
def merge(pair: PossibleDuplicate, *, user: User, keep: Transaction | None = None) -> None:
    """Count the two as one: `keep`, or else the broker's row, or else the older. The other is kept and points at it.

    Raises NotAllowed when one of them does not count any more.
    """
    locked = _locked(pair)
    if {locked.first.status, locked.second.status} - {BookStatus.POSTED, BookStatus.PENDING}:
        raise NotAllowed("One of the two rows does not count any more, so there is nothing to merge.")
    chosen = keep or preferred(locked)
    if chosen.pk not in (locked.first_id, locked.second_id):
        raise NotAllowed("The row to keep is none of the two.")
    _decide(locked, Decision.MERGED, user, kept=chosen)


@transaction.atomic
def keep_both(pair: PossibleDuplicate, *, user: User) -> None:
    """They are two events; nobody is asked again about them."""
    _decide(_locked(pair), Decision.KEPT, user, kept=None)


@transaction.atomic
def reopen(pair: PossibleDuplicate, *, user: User) -> None:
    """Take a decision back: both rows count, and the question waits again. Raises NotAllowed."""
    locked = _locked(pair)
    if locked.decision == Decision.OPEN:
        raise NotAllowed("Nothing was decided about these rows yet.")
    _decide(locked, Decision.OPEN, user, kept=locked.kept)
    PossibleDuplicate.objects.filter(pk=pair.pk).update(kept=None, decided_by=None, decided_at=None)


def _locked(pair: PossibleDuplicate) -> PossibleDuplicate:
    """As it is now, with the account's only writer being us."""
    hold(pair.account)
    return PossibleDuplicate.objects.select_related("first", "second", "kept", "account").get(pk=pair.pk)


def preferred(pair: PossibleDuplicate) -> Transaction:
    """The row that is kept unless the person says otherwise: the broker's, or else the older."""
    return min((pair.first, pair.second), key=lambda row: (row.source != Source.API, row.pk))


def _decide(pair: PossibleDuplicate, decision: Decision, user: User, *, kept: Transaction | None) -> None:
    if pair.decision == decision or (pair.decision != Decision.OPEN and decision != Decision.OPEN):
        raise NotAllowed("This was decided before. Undo the decision first.")
    pair.decision, pair.kept, pair.decided_by, pair.decided_at = decision, kept, user, timezone.now()
    pair.save()
    words = f"Rows {pair.first_id} and {pair.second_id}: {decision.label.lower()}"
    note(pair.account.connection, "duplicate_decided", actor=user, detail=words)
    with connection.cursor() as cursor:
        standing.uphold(cursor, pair.account_id)
