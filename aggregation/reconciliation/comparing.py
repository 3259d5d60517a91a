"""Comparing what the broker reports with what the ledger comes to, and keeping the list of breaks.

Whatever changes an account's books or figures makes its comparison due: a row in the database, which a task takes up.
A break is one row from the first comparison that finds it to the first that does not.
"""

import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from celery import current_app
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError as QueueDown
from redis.exceptions import RedisError

from aggregation.models import Instrument, Position, RunningTotal
from aggregation.reconciliation import reading, transfers
from aggregation.reconciliation.causes import Cause
from aggregation.reconciliation.facts import ZERO, Facts, Item
from aggregation.reconciliation.finding.explaining import explain
from aggregation.reconciliation.finding.search import Finding
from aggregation.reconciliation.models import Break, BreakState, Reconciliation
from brokerhub.kernel.models import User
from connections.models import Account

logger = logging.getLogger(__name__)


# --- What is due ------------------------------------------------------------------------------------------------------
def request(
    accounts: Iterable[int],
    *,
    covered: dict[int, tuple[date, date]] | None = None,
    parked: dict[int, int] | None = None,
) -> None:
    """Have these accounts compared soon. `covered` says from when to when their transactions were read, `parked` how
    many of their rows wait for a rule, where the caller knows it."""
    now = timezone.now()
    rows = []
    for account in sorted(set(accounts)):
        first, last = (covered or {}).get(account, (None, None))
        rows.append(
            Reconciliation(
                account_id=account,
                due_at=now,
                covered_from=first,
                covered_to=last,
                parked=(parked or {}).get(account, 0),
            )
        )
    told = ["covered_from", "covered_to"] if covered is not None else []
    told += ["parked"] if parked is not None else []
    Reconciliation.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["account"], update_fields=["due_at", *told]
    )
    transaction.on_commit(nudge)


def request_for(user: User, instruments: Iterable[int]) -> None:
    """Have the accounts of a person compared that hold or held one of these, because they decided what it is."""
    totals = RunningTotal.objects.for_user(user).filter(instrument__in=list(instruments))
    held = Position.objects.for_user(user).filter(instrument__in=list(instruments))
    request({*totals.values_list("account_id", flat=True), *held.values_list("account_id", flat=True)})


def nudge() -> None:
    """Have the due ones compared right now. Best effort: with the queue away, beat finds them later."""
    try:
        current_app.send_task("aggregation.reconcile", retry=False, expires=15)
    except (QueueDown, RedisError, OSError):
        logger.warning("reconciliation.nudge_failed: the queue is not reachable", exc_info=True)


def reconcile_due() -> int:
    """Compare every account that is due; how many. Two workers never take the same one."""
    compared = 0
    users: set[int] = set()
    while (user := _compare_next()) is not None:
        compared += 1
        users.add(user)
    return compared


@transaction.atomic
def _compare_next() -> int | None:
    due = Reconciliation.objects.due().order_by("due_at", "pk").select_for_update(skip_locked=True, of=["self"])
    state = due.select_related("account__connection__user").first()
    if state is None:
        return None
    transfers.match(state.account.connection.user_id)
    _compare(state)
    return state.account.connection.user_id


def compare(account: Account) -> Reconciliation:
    """Compare one account now, whether it is due or not."""
    with transaction.atomic():
        Reconciliation.objects.get_or_create(account=account)
        locked = Reconciliation.objects.select_for_update(of=["self"]).select_related("account__connection__user")
        state = locked.get(account=account)
        transfers.match(state.account.connection.user_id)
        _compare(state)
        return state


# --- Comparing --------------------------------------------------------------------------------------------------------
def _compare(state: Reconciliation) -> None:
    """Without differences this is a handful of queries, whatever the books hold."""
    account, now = state.account, timezone.now()
    by_hand = account.connection.is_file  # what a person says is held, no broker has reported
    report = None if by_hand else reading.Report.of(account)
    live = list(Break.objects.live().filter(account=account).select_for_update())
    if report is None:
        state.due_at, state.compared_at, state.items = None, None, 0
        state.save()
        return
    facts = reading.figures(account, report)
    apart = _worth_a_look(facts)
    findings: list[Finding] = []
    if apart:
        known = _known(state, live, apart)
        facts = reading.surroundings(facts, account, report, state, known)
        findings = explain(facts)
    _keep(state, facts, findings, live, now)
    state.due_at, state.compared_at, state.reported_at = None, now, report.as_of
    state.items = len({*facts.reported, *facts.derived})
    state.save()


def _worth_a_look(facts: Facts) -> dict[Item, Decimal]:
    half_a_cent = Decimal("0.005")
    apart = facts.differences()
    return {item: amount for item, amount in apart.items() if item[0] == "units" or abs(amount) >= half_a_cent}


def _known(state: Reconciliation, live: list[Break], apart: dict[Item, Decimal]) -> set[Item]:
    """The places that agreed when they were compared before."""
    if state.compared_at is None:
        return set()
    never = {_place(each) for each in live if each.agreed_on is None}
    return {item for item in apart if item not in never}


def _place(found: Break) -> Item:
    return ("cash", found.currency) if found.instrument_id is None else ("units", found.instrument_id)


def _keep(state: Reconciliation, facts: Facts, findings: list[Finding], live: list[Break], now: datetime) -> None:
    """Bring the list of breaks up to date: what is new, what has changed, what agrees again."""
    parts: dict[Item, list[Finding]] = defaultdict(list)
    for finding in findings:
        for item in finding.amounts:
            parts[item].append(finding)
    known = {_place(each): each for each in live}
    last_on = state.reported_at.date() if state.reported_at and state.compared_at else None
    for item, causes in parts.items():
        row = known.pop(item, None) or Break(account=state.account, agreed_on=last_on, found_at=now)
        _describe(row, item, facts, causes, now)
        row.save()
    for gone in known.values():
        gone.state, gone.resolved_at, gone.came_back = BreakState.RESOLVED, now, False
        gone.save()


def _describe(row: Break, item: Item, facts: Facts, causes: list[Finding], now: datetime) -> None:
    """Write into the unsaved row what is so now. An ignored one whose figures or causes are others comes back."""
    main = max(causes, key=lambda finding: abs(finding.amounts[item]))
    row.instrument_id = None if item[0] == "cash" else item[1]
    row.currency = item[1] if item[0] == "cash" else facts.things[item[1]].currency
    row.reported, row.derived = facts.reported.get(item), facts.derived.get(item, ZERO)
    row.difference = (row.reported or ZERO) - row.derived
    row.cause, row.explained = main.cause, main.amounts[item]
    ordered = [main, *(finding for finding in causes if finding is not main)]
    row.findings = [_plain(finding, item) for finding in ordered]
    fingerprint = _fingerprint(row, ordered, facts)
    if row.state == BreakState.IGNORED and row.fingerprint not in (fingerprint, _fingerprint(row, ordered)):
        row.state, row.came_back = BreakState.OPEN, True
    row.fingerprint, row.seen_at = fingerprint, now


def _fingerprint(row: Break, findings: list[Finding], facts: Facts | None = None) -> str:
    """With `facts`, evidence is what its rows say, the same on every hub; without, as it was once, their ids."""
    figures = [None if amount is None else f"{amount.normalize():f}" for amount in (row.reported, row.derived)]
    rows = (*facts.rows, *facts.elsewhere) if facts else ()
    told = {each.id: each.told for each in rows}
    causes = [(str(each.cause), sorted((told.get(pk, pk) for pk in each.evidence), key=str)) for each in findings]
    return hashlib.sha256(json.dumps([figures, causes]).encode()).hexdigest()


def _plain(finding: Finding, item: Item) -> dict[str, Any]:
    return {
        "cause": str(finding.cause),
        "amount": str(finding.amounts[item]),
        "text": finding.text,
        "evidence": list(finding.evidence),
        "fixes": [fix.plain() for fix in finding.fixes],
    }


def titles(breaks: Iterable[Break]) -> dict[int, str]:
    """Names of all instruments that the fixes of these breaks would book."""
    wanted = {
        row["instrument"]
        for each in breaks
        for finding in each.findings
        for fix in finding["fixes"]
        for row in fix["book"]
        if row["instrument"]
    }
    return {row.pk: row.title for row in Instrument.objects.filter(pk__in=wanted)}


__all__ = ["Cause", "compare", "nudge", "reconcile_due", "request", "request_for", "titles"]
