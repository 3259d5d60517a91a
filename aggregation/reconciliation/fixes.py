"""Putting breaks right: what a person agrees to with one click, and may take back.

The ledger books what is missing as rows told by hand. They outlive every sync: a row that the broker later tells with
the same content takes their place, one that it tells in other words becomes a question in the review queue, and the
next comparison offers to take the correction back.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.dispatch import Signal
from django.utils import timezone

from aggregation import edits, ledger, review, undoing
from aggregation.instruments import as_record
from aggregation.models import BookStatus, Instrument, PossibleDuplicate, Source, Transaction
from aggregation.reconciliation import comparing
from aggregation.reconciliation.causes import Cause
from aggregation.reconciliation.finding.rows import FIX_PREFIX
from aggregation.reconciliation.finding.search import Action
from aggregation.reconciliation.models import Break, BreakState, Correction
from aggregation.review_models import Decision
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from connections.brokers.records import TransactionKind, TransactionRecord
from connections.models import Account

days_wanted = Signal()
"""The transactions of `account` from `first` to `last` shall be read again for `user`. Receivers raise NotAllowed."""

MOVED = "The figures have changed since you looked. Look again, then decide."
Planned = dict[str, Any]  # a fix as a break keeps it


@transaction.atomic
def apply(
    found: Break, *, finding: int, fix: int, user: User, fingerprint: str = "", cost: Decimal | None = None
) -> Correction | None:
    """Carry out one fix of one finding, and compare the account again. None where the broker is asked instead.

    `cost` is what one unit of an opening position had cost, where the person knows it. Raises NotAllowed when the
    break is over or has changed since `fingerprint`, and when a row's state forbids it.
    """
    ledger.hold(found.account)
    comparing.compare(found.account)  # what was booked since the page was made may have mended it
    row = Break.objects.live().select_for_update(of=["self"]).filter(pk=found.pk).first()
    if row is None:
        raise NotAllowed("This agrees by now. There is nothing left to put right.")
    if (fingerprint or found.fingerprint) != row.fingerprint:
        raise NotAllowed(MOVED)
    try:
        told = row.findings[finding]
        plan: Planned = told["fixes"][fix]
    except (IndexError, KeyError) as error:
        raise NotAllowed(MOVED) from error
    if plan["action"] == Action.READ_AGAIN:
        first, last = map(date.fromisoformat, plan["days"])
        days_wanted.send(None, account=found.account, first=first, last=last, user=user)
        return None
    about = f"{row.title}: {told['text']}"[:300]
    if plan["action"] == Action.TAKE_BACK:
        for made in Correction.objects.standing().filter(account=found.account, booked__overlap=plan["rows"]):
            undo(made, user=user)
        return None
    correction = _correct(row.account, plan, user=user, cause=Cause(told["cause"]), about=about, cost=cost)
    comparing.compare(row.account)
    return correction


@transaction.atomic
def apply_all(account: Account, cause: Cause, *, user: User) -> Correction:
    """Book what the account's open breaks of one cause need, as one correction. Raises NotAllowed without any."""
    ledger.hold(account)
    comparing.compare(account)
    live = Break.objects.live().filter(account=account, cause=cause, state=BreakState.OPEN)
    plans: list[Planned] = []
    for row in live.select_for_update(of=["self"]).order_by("pk"):
        plan = next((each for each in row.findings[0]["fixes"] if each["action"] == Action.BOOK), None)
        if plan is not None and plan not in plans:  # one fix may mend several places
            plans.append(plan)
    if not plans:
        raise NotAllowed("There is nothing of this kind left to book.")
    whole = {
        "action": str(Action.BOOK),
        "label": plans[0]["label"],
        "book": [row for plan in plans for row in plan["book"]],
        "rows": [],
        "days": None,
    }
    about = f"{cause.label}: {len(plans)} in one go"
    correction = _correct(account, whole, user=user, cause=cause, about=about)
    comparing.compare(account)
    return correction


def _correct(
    account: Account, plan: Planned, *, user: User, cause: Cause, about: str, cost: Decimal | None = None
) -> Correction:
    action = Action(plan["action"])
    correction: Correction = Correction.objects.create(
        account=account, action=action, label=plan["label"][:120], about=about, cause=cause, done_by=user
    )
    rows = list(Transaction.objects.filter(account=account, pk__in=plan["rows"]).select_related("account"))
    for row in rows:
        if action is Action.EXCLUDE:
            edits.exclude(row, user=user)
        elif action is Action.BRING_BACK:
            edits.bring_back(row, user=user)
        elif action is Action.SEPARATE:
            _separate(row, user)
    correction.changed = [row.pk for row in rows]
    if plan["book"]:
        correction.booked = _book(correction, plan["book"], cost)
    correction.save()
    return correction


def _book(correction: Correction, planned: Sequence[Planned], cost: Decimal | None) -> list[int]:
    """The ids of the rows the ledger made of the plan."""
    wanted = [row["instrument"] for row in planned if row["instrument"]]
    things = Instrument.objects.in_bulk(wanted)
    group = f"{FIX_PREFIX}{correction.pk}"
    records = [
        TransactionRecord(
            external_id=f"{group}:{number}",
            kind=TransactionKind(row["kind"]),
            traded_on=date.fromisoformat(row["on"]),
            instrument=as_record(things[row["instrument"]]) if row["instrument"] else None,
            quantity=_number(row["quantity"]),
            price=_number(row["price"]) if cost is None or row["subtype"] != "opening" else cost,
            net_amount=Decimal(row["net"]),
            currency=row["currency"],
            description=row["text"],
            subtype=row["subtype"],
            group_id=group if len(planned) > 1 else "",
            raw={"correction": correction.pk, "cause": correction.cause},
        )
        for number, row in enumerate(planned, start=1)
    ]
    ledger.book(account=correction.account, records=records, source=Source.MANUAL, run_id=None)
    booked = Transaction.objects.filter(
        account=correction.account, source=Source.MANUAL, external_id__in=[record.external_id for record in records]
    )
    return sorted(booked.values_list("pk", flat=True))


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _separate(row: Transaction, user: User) -> None:
    """Count a row again that was merged with another by a person. Raises NotAllowed when nobody did."""
    pair = _merged(row, Decision.MERGED)
    if pair is None:
        raise NotAllowed("These rows are the same word for word, told by two sources, so they count once.")
    review.reopen(pair, user=user)
    review.keep_both(pair, user=user)


def _merged(row: Transaction, decision: Decision) -> PossibleDuplicate | None:
    """The question about the row that was decided so."""
    pairs = PossibleDuplicate.objects.questions().filter(account=row.account_id, decision=decision)
    return (pairs.filter(first=row) | pairs.filter(second=row)).order_by("-decided_at").first()


@transaction.atomic
def undo(correction: Correction, *, user: User) -> None:
    """Take a correction back: what it booked no longer counts, what it changed is as before. Raises NotAllowed."""
    ledger.hold(correction.account)
    locked = Correction.objects.select_for_update(of=["self"]).select_related("account").get(pk=correction.pk)
    if locked.undone_at is not None:
        raise NotAllowed("This correction was taken back before.")
    with connection.cursor() as cursor:
        undoing.take_back(cursor, locked.account_id, locked.booked)
    rows = Transaction.objects.filter(pk__in=locked.changed).select_related("account")
    for row in rows:
        _change_back(row, Action(locked.action), user)
    Correction.objects.filter(pk=locked.pk).update(undone_at=timezone.now())
    comparing.compare(locked.account)


def _change_back(row: Transaction, action: Action, user: User) -> None:
    """What has been changed by hand since stays as it is."""
    if action is Action.EXCLUDE and row.status == BookStatus.EXCLUDED:
        edits.bring_back(row, user=user)
    elif action is Action.BRING_BACK and row.status in edits.LIVING:
        edits.exclude(row, user=user)
    elif action is Action.SEPARATE and (pair := _merged(row, Decision.KEPT)) is not None:
        review.reopen(pair, user=user)
        review.merge(pair, user=user)


@transaction.atomic
def ignore(found: Break, *, user: User, why: str = "", fingerprint: str = "") -> None:
    """Set a break aside until its figures change. Raises NotAllowed when it is over or has changed."""
    row = Break.objects.live().select_for_update(of=["self"]).filter(pk=found.pk).first()
    if row is None:
        raise NotAllowed("This agrees by now. There is nothing left to ignore.")
    if fingerprint and fingerprint != row.fingerprint:
        raise NotAllowed(MOVED)
    row.state, row.came_back = BreakState.IGNORED, False
    row.ignored_at, row.ignored_by, row.ignored_why = timezone.now(), user, why.strip()[:300]
    row.save()


def heed(breaks: Iterable[Break]) -> None:
    """See to ignored breaks again."""
    ids = [row.pk for row in breaks]
    Break.objects.filter(pk__in=ids, state=BreakState.IGNORED).update(state=BreakState.OPEN, came_back=False)
