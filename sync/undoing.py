"""Taking a finished run back, and applying it again: the books, how far they reach, and the account of who did it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from aggregation import replacing
from aggregation import undoing as books
from aggregation.models import Delivery, Source
from aggregation.undoing import Effect
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from connections.moves import note
from sync import reconciling, word_rules
from sync.models import ParkedRow, SyncCursor, SyncRun, Trigger, WordRule
from sync.parking import settle


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEffect(Effect):
    """`parked` rows that no rule understands wait no longer, or wait again."""

    parked: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """What can be done with a run now: `undo`, `reapply` or nothing."""

    can_undo: bool
    is_undone: bool


def standing(run: SyncRun) -> Standing:
    told = books.can_be_undone(run.pk) or ParkedRow.objects.of_run(run).exists()
    return Standing(can_undo=not run.is_open and run.undone_at is None and told, is_undone=run.undone_at is not None)


def preview_undo(run: SyncRun) -> RunEffect:
    """What undoing `run` would do now: done, counted and rolled back. Raises NotAllowed."""
    return _tried(_undo, run)


def preview_reapply(run: SyncRun) -> RunEffect:
    return _tried(_reapply, run)


@transaction.atomic
def undo(run: SyncRun, *, actor: User) -> RunEffect:
    """Take back all the run told: its transactions, and its rows that wait for a rule.

    What the broker says is held now is no part of it. The next sync reads the days of the run again. Raises NotAllowed
    for a run under way, or with nothing to take back.
    """
    effect = _undo(run)
    note(run.connection, "run_undone", actor=actor, detail=f"Run {run.pk}: {_words(effect)}")
    reconciling.request(run.connection)
    return effect


@transaction.atomic
def reapply(run: SyncRun, *, actor: User) -> RunEffect:
    """Bring back what `undo` took. Raises NotAllowed for a run that was not taken back."""
    effect = _reapply(run)
    note(run.connection, "run_applied_again", actor=actor, detail=f"Run {run.pk}: {_words(effect)}")
    reconciling.request(run.connection)
    return effect


def _undo(run: SyncRun) -> RunEffect:
    _refuse_open(run)
    if not standing(run).can_undo:
        raise NotAllowed("There is nothing to take back: this run brought nothing, or it was taken back already.")
    if not run.is_import:
        _refuse_while_read(run)
    replacing.hand_back(run.pk)
    effect = books.undo(run.pk) if books.can_be_undone(run.pk) else Effect()
    _read_again(run)
    return _settled(run, effect, is_undone=True)


def _reapply(run: SyncRun) -> RunEffect:
    _refuse_open(run)
    if run.undone_at is None:
        raise NotAllowed("This run was not taken back, so there is nothing to apply again.")
    replacing.hand_on(run.pk)
    effect = books.reapply(run.pk) if books.is_undone(run.pk) else Effect()
    return _settled(run, effect, is_undone=False)


def _settled(run: SyncRun, effect: Effect, *, is_undone: bool) -> RunEffect:
    """Mark the run, and let its parked rows wait or not; those that a rule of the person knows by now are booked."""
    run.undone_at = timezone.now() if is_undone else None
    run.save(update_fields=["undone_at"])
    parked = settle(run)
    connection = run.connection
    for rule in WordRule.objects.filter(user=connection.user_id, broker=connection.broker) if parked else ():
        word_rules.apply(rule)
    return RunEffect(**asdict(effect), parked=parked)


def _tried(change: Callable[[SyncRun], RunEffect], run: SyncRun) -> RunEffect:
    with transaction.atomic():
        effect = change(run)
        transaction.set_rollback(True)
    run.refresh_from_db(fields=["undone_at"])
    return effect


def _refuse_open(run: SyncRun) -> None:
    """Waits for a worker that holds the run's row. Raises NotAllowed for a run under way."""
    with transaction.atomic():
        locked = SyncRun.objects.select_for_update(no_key=True).get(pk=run.pk)
        if locked.is_open:
            raise NotAllowed("This run is still under way. Cancel it, or wait until it is over.")
        run.undone_at = locked.undone_at


def _refuse_while_read(run: SyncRun) -> None:
    """The days of `run` are read again by the next sync; one under way would go on behind them. Raises NotAllowed."""
    if SyncRun.objects.filter(connection=run.connection_id).exclude(trigger=Trigger.IMPORT).open().exists():
        raise NotAllowed("This connection is being synced. Cancel that or wait, then take the run back.")


def _read_again(run: SyncRun) -> None:
    for delivery in Delivery.objects.filter(run=run, source=Source.API).defer("rows"):
        cursor = SyncCursor.objects.filter(account=delivery.account_id).first()
        if cursor is None or delivery.first_on > cursor.covered_to:
            continue
        cursor.covered_to = delivery.first_on - timedelta(days=1)
        if cursor.covered_to < cursor.covered_from:
            cursor.delete()
        else:
            cursor.save()


def _words(effect: RunEffect) -> str:
    parked = f", {effect.parked} parked rows change" if effect.parked else ""
    return f"{effect.leaving} rows no longer count, {effect.returning} count again{parked}"
