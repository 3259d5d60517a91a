"""Taking a finished run back, and applying it again: the books, how far they reach, and the account of who did it."""

from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction

from aggregation import undoing
from aggregation.models import Delivery, Source
from aggregation.undoing import Effect
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from connections.moves import note
from sync.models import SyncCursor, SyncRun


@dataclass(frozen=True, slots=True)
class Standing:
    """What can be done with a run now: `undo`, `reapply` or nothing."""

    can_undo: bool
    is_undone: bool


def standing(run: SyncRun) -> Standing:
    undone = undoing.is_undone(run.pk)
    return Standing(can_undo=not run.is_open and not undone and undoing.can_be_undone(run.pk), is_undone=undone)


def preview_undo(run: SyncRun) -> Effect:
    """What undoing `run` would do now; nothing is changed. Raises NotAllowed."""
    _refuse_open(run)
    return undoing.preview_undo(run.pk)


def preview_reapply(run: SyncRun) -> Effect:
    """What applying `run` again would do now; nothing is changed. Raises NotAllowed."""
    _refuse_open(run)
    return undoing.preview_reapply(run.pk)


@transaction.atomic
def undo(run: SyncRun, *, actor: User) -> Effect:
    """Take back all the run told of transactions. What the broker says is held now is no part of it.

    The next sync reads the days of the run again. Raises NotAllowed for a run under way, or with nothing to take back.
    """
    _refuse_open(run)
    effect = undoing.undo(run.pk)
    _read_again(run)
    note(run.connection, "run_undone", actor=actor, detail=f"Run {run.pk}: {_words(effect)}")
    return effect


@transaction.atomic
def reapply(run: SyncRun, *, actor: User) -> Effect:
    """Bring back what `undo` took. Raises NotAllowed for a run that was not taken back."""
    _refuse_open(run)
    effect = undoing.reapply(run.pk)
    note(run.connection, "run_applied_again", actor=actor, detail=f"Run {run.pk}: {_words(effect)}")
    return effect


def _refuse_open(run: SyncRun) -> None:
    """Waits for a worker that holds the run's row. Raises NotAllowed for a run under way."""
    with transaction.atomic():
        if SyncRun.objects.select_for_update(no_key=True).get(pk=run.pk).is_open:
            raise NotAllowed("This run is still under way. Cancel it, or wait until it is over.")


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


def _words(effect: Effect) -> str:
    return f"{effect.leaving} rows no longer count, {effect.returning} count again"
