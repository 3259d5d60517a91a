"""Syncs and imports from request to result: ask for one, send it to a worker, run it, cancel it.

PostgreSQL holds what is due; a task message only says "look at this run now". Any message may be lost or come twice.
"""

import logging
from datetime import date, timedelta

import structlog
from django.db import IntegrityError, transaction
from django.utils import timezone

from brokerhub.kernel import trace
from brokerhub.kernel.errors import HubError, NotAllowed
from brokerhub.kernel.models import User
from brokerhub.kernel.outages import AWAY, NoRoom, naming_no_room
from connections import connection_manager
from connections.brokers.base import BrokerError, BrokerUnavailable, CircuitOpen, RateLimited, UnderMaintenance
from connections.models import EPOCH, Account, Connection
from sync import fetching, imports, planning, queueing, reconciling
from sync.holds import NO_ROOM, Hold, HoldLost, PartState, TurnOver
from sync.imports import request_import, request_import_into_new
from sync.models import Mode, RunState, SyncRun, SyncRunQuerySet, Trigger
from sync.scheduling import plan_due
from sync.scope import Scope, days_in_words
from sync.sending import dispatch_due, nudge
from sync.signals import run_ended

__all__ = [
    "cancel",
    "cancel_all",
    "dispatch_due",
    "plan_due",
    "request_all",
    "request_import",
    "request_import_into_new",
    "request_sync",
    "run_one",
]

logger = logging.getLogger(__name__)
ROOM_IN = timedelta(minutes=1)


# --- Asking -----------------------------------------------------------------------------------------------------------
def request_sync(
    *,
    user: User | None,
    connection: Connection,
    trigger: Trigger,
    mode: Mode | None = None,
    account: Account | None = None,
    days: tuple[date, date | None] | None = None,
) -> SyncRun:
    """A queued run for `connection`, or its open one: a second request joins the first and widens it if need be.

    `days` are the first and the last market date to read, the last one None for today. Raises NotAllowed.
    """
    if connection.is_file:
        raise NotAllowed("These accounts are kept by file. Import a newer file to bring them up to date.")
    if connection.is_switched_off:
        raise NotAllowed(connection.reason.text)
    if not Connection.objects.syncable().filter(pk=connection.pk).exists():
        raise NotAllowed(f"{connection.label} is not signed in. Sign in again on the Connections page, then sync.")
    scope = _scope(connection, mode, account, days)
    while True:
        joined = _join(connection, scope)
        if joined is not None:
            return joined
        try:
            with transaction.atomic():
                run: SyncRun = SyncRun.objects.create(
                    connection=connection,
                    trigger=trigger,
                    mode=scope.mode,
                    account_id=scope.account_id,
                    from_on=scope.from_on,
                    to_on=scope.to_on,
                    requested_by=user,
                )
        except IntegrityError:
            continue  # somebody was faster: join theirs, unless it is finished by now
        transaction.on_commit(nudge)
        return run


def _scope(
    connection: Connection, mode: Mode | None, account: Account | None, days: tuple[date, date | None] | None
) -> Scope:
    """What is asked for. Raises NotAllowed for an account that cannot be read and for days that are none."""
    if account is not None and (account.connection_id != connection.pk or account.closed_on is not None):
        raise NotAllowed("This account is closed, or another connection reads it.")
    first, last = days or (None, None)
    today = planning.market_today()
    if first is not None and first > (last or today):
        raise NotAllowed("The first day comes after the last one.")
    if first is not None and first > today:
        raise NotAllowed("These days are still to come. Choose days up to today.")
    if first is not None and mode not in (Mode.RANGE, Mode.REPAIR):
        mode = Mode.RANGE
    chosen = mode or planning.mode_for(connection)
    if chosen is Mode.RANGE and first is None:
        raise NotAllowed("Choose the first day to read.")
    return Scope(mode=chosen, account_id=account.pk if account else None, from_on=first, to_on=last)


@transaction.atomic
def _join(connection: Connection, scope: Scope) -> SyncRun | None:
    """The connection's open run, made to read all of `scope` too; None without one.

    A worker in the middle of a run that is widened loses its hold, and the run starts over with the wider wish at
    once; what is booked is recognised. A wait for the broker goes on.
    """
    run = connection.runs.fetching().open().select_for_update().first()
    if run is None:
        return None
    wider = Scope.of(run).joined(scope)
    logger.info("sync.joined: run %s, which has request id %s", run.pk, run.request_id or "none")
    if wider != Scope.of(run):
        run.mode, run.account_id, run.from_on, run.to_on = wider.mode, wider.account_id, wider.from_on, wider.to_on
        run.parts = {part: result for part, result in run.parts.items() if not part.startswith("transactions")}
        run.spans, run.missing, run.done, run.total, run.attempts = {}, [], 0, None, 0
        if run.state == RunState.RUNNING:
            run.state, run.held_by, run.held_until, run.sent_at = RunState.QUEUED, None, EPOCH, EPOCH
        run.save()
        run.entries.create(text=f"Widened by a second request: {run.get_mode_display()} {days_in_words(run)}".strip())
        transaction.on_commit(nudge)
    return run


def request_all(
    *,
    user: User,
    trigger: Trigger,
    mode: Mode | None = None,
    days: tuple[date, date | None] | None = None,
) -> list[SyncRun]:
    """Runs for every connection of `user` that can sync now."""
    connections = Connection.objects.for_user(user).syncable().order_by("created_at")
    return [
        request_sync(user=user, connection=connection, trigger=trigger, mode=mode, days=days)
        for connection in connections
    ]


@transaction.atomic
def cancel(run: SyncRun) -> None:
    """End an open run at once. What is booked stays; a worker in the middle books nothing more. Raises NotAllowed."""
    if not _cancel(SyncRun.objects.filter(pk=run.pk)):
        raise NotAllowed("This run is over already; there is nothing left to cancel.")
    run.refresh_from_db()
    run.entries.create(text="Cancelled")


def cancel_all(connection: Connection) -> None:
    """End every open run of a connection that is being removed, imports included."""
    _cancel(SyncRun.objects.filter(connection=connection))


@transaction.atomic
def _cancel(runs: SyncRunQuerySet) -> int:
    ended = list(runs.open().order_by("pk").select_for_update().values_list("pk", flat=True))
    SyncRun.objects.filter(pk__in=ended).update(
        state=RunState.CANCELLED, step="", wait_until=None, wait_reason="", held_by=None, finished_at=timezone.now()
    )
    for run_id in ended:
        run_ended.send(sender=SyncRun, run_id=run_id)
    return len(ended)


# --- Running ----------------------------------------------------------------------------------------------------------
def run_one(run_id: int) -> None:
    """Do the run if it is due and nobody has it. Safe to call twice, and again after a crash: it goes on."""
    hold = Hold.take(run_id)
    if hold is None:
        logger.info("sync.not_taken: run %s is over, not due or held by a living worker", run_id)
        return
    line = hold.run.line
    try:
        with trace.carrying(hold.run.request_id), hold.kept():
            _run(hold)
    except HoldLost:
        logger.info("sync.hold_lost: run %s was cancelled or given to another worker", run_id)
    finally:
        queueing.pass_on(hold, line)


def _run(hold: Hold) -> None:
    connection = hold.run.connection
    try:
        if hold.run.attempts > planning.MAX_ATTEMPTS:
            raise HubError(f"It was interrupted {hold.run.attempts - 1} times without getting any further.")
        with naming_no_room():
            _do(hold)
    except TurnOver:
        hold.queue_again()
        nudge()
    except BrokerUnavailable as error:
        _wait_or_give_up(hold, error)
    except BrokerError as error:
        connection_manager.note_failure(connection, error)
        hold.finish(RunState.FAILED, code=error.code, error=str(error))
    except HubError as error:
        hold.finish(RunState.FAILED, code=error.code, error=str(error))
    except NoRoom:
        hold.wait(timezone.now() + ROOM_IN, NO_ROOM, attempts=0)  # as often as it takes: another run needs room, too
    except (HoldLost, *AWAY):
        raise  # a server of ours that was away, or ended a deadlock with us, ends no run: it goes on after its lease
    except Exception:
        request_id = structlog.contextvars.get_contextvars().get("request_id", "none")
        sentence = f"Something went wrong on our side. It has been noted; if you ask us, name request {request_id}."
        hold.finish(RunState.FAILED, code="internal_error", error=sentence)
        logger.exception("sync.crashed: run %s", hold.run.pk)
        raise
    else:
        _settle(hold)


def _do(hold: Hold) -> None:
    if hold.run.is_import:
        imports.run_import(hold)
        return
    with queueing.in_line(hold):
        fetching.fetch(hold)


def _wait_or_give_up(hold: Hold, error: BrokerUnavailable) -> None:
    """Try again later, when the broker said or after a pause; at some point leave it to the next sync."""
    connection, attempts = hold.run.connection, hold.run.attempts
    if isinstance(error, RateLimited) and error.line is not None:
        queueing.line_up(hold, error)
        connection_manager.note_failure(connection, error)
        return
    gives_up = attempts >= planning.MAX_ATTEMPTS
    error.retry_at = None if gives_up else planning.retry_at(attempts, error.retry_at)
    if isinstance(error, fetching.PartsAway):
        failing = _failing(hold, PartState.FAILED, PartState.WAITING)
        connection_manager.note_success(
            connection, failing_parts=failing, has_fetched=_has_fetched(hold), until=error.retry_at
        )
    else:
        connection_manager.note_failure(connection, error)
    if error.retry_at is not None:
        hold.wait(error.retry_at, _why(error))
        return
    sentence = f"{error} The hub tried {attempts} times and stopped; the next sync tries again."
    with transaction.atomic():
        hold.finish(RunState.PARTIAL if _has_fetched(hold) else RunState.FAILED, code=error.code, error=sentence)
        reconciling.request(connection)


def _why(error: BrokerUnavailable) -> str:
    """As it stands behind `Waiting for Charles Schwab until 14:05:`."""
    if isinstance(error, RateLimited):
        return queueing.RATE_LIMIT
    if isinstance(error, UnderMaintenance):
        return "maintenance"
    if isinstance(error, fetching.PartsAway):
        return _why(error.first)
    return "several answers in a row failed" if isinstance(error, CircuitOpen) else "no answer"


def _has_fetched(hold: Hold) -> bool:
    """Whether any part but the list of accounts is done."""
    done = (part for part, result in hold.run.parts.items() if result["state"] == PartState.DONE)
    return any(part != fetching.ACCOUNTS for part in done)


@transaction.atomic
def _settle(hold: Hold) -> None:
    """Close a run that came to its end: whole, or with parts missing."""
    failed = [result["detail"] for result in hold.run.parts.values() if result["state"] == PartState.FAILED]
    if not failed:
        hold.finish(RunState.SUCCEEDED)
    else:
        state = RunState.PARTIAL if _has_fetched(hold) else RunState.FAILED
        hold.finish(state, code="parts_failing", error=failed[0])
    if not hold.run.is_import:
        failing, has_fetched = _failing(hold, PartState.FAILED), not failed or _has_fetched(hold)
        connection_manager.note_success(hold.run.connection, failing_parts=failing, has_fetched=has_fetched)
    reconciling.request(hold.run.connection)


def _failing(hold: Hold, *states: str) -> dict[str, dict[str, str]]:
    """The parts in one of these states, with the moment they were last up to date and what went wrong now."""
    run = hold.run
    accounts = {f"{account.pk}": account.created_at for account in run.connection.accounts.all()}
    runs = SyncRun.objects.fetching().filter(connection=run.connection).order_by("-pk")
    failing = {}
    for part, result in run.parts.items():
        if result["state"] not in states:
            continue
        done: SyncRun | None = runs.filter(**{f"parts__{part}__state": PartState.DONE}).only("parts").first()
        never = accounts.get(part.partition(":")[2], run.connection.created_at)
        since = done.parts[part]["at"] if done else never.isoformat(timespec="seconds")
        failing[part] = {"since": since, "reason": result["detail"]}
    return failing
