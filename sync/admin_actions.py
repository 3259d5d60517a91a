"""What an operator may do to runs, schedules and parked rows; each leaves an event with the operator as its actor."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.db import transaction
from django.utils import timezone

from aggregation.redaction import masked
from brokerhub.kernel.acts import ActForm
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from connections.brokers.records import TransactionKind
from connections.models import EPOCH
from connections.moves import note
from sync import sync_service, word_rules
from sync.models import ParkedRow, RunState, Schedule, SyncRun
from sync.sending import nudge


# --- Runs -------------------------------------------------------------------------------------------------------------
def cancel(run: SyncRun, *, actor: User) -> None:
    """Raises NotAllowed when it is over."""
    sync_service.cancel(run)
    note(run.connection, "sync_cancelled", actor=actor)


@transaction.atomic
def requeue(run: SyncRun, *, actor: User) -> None:
    """Send an open run to a worker anew, whoever has it: that one books nothing more. Raises NotAllowed when it is
    over. What is booked is recognised."""
    anew = {"state": RunState.QUEUED, "held_by": None, "held_until": EPOCH, "sent_at": EPOCH, "attempts": 0}
    no_wait = {"wait_until": None, "wait_reason": "", "line": "", "in_turn": False}
    if not SyncRun.objects.filter(pk=run.pk).open().update(**anew, **no_wait):
        raise NotAllowed("This run is over. Ask for a new one.")
    run.entries.create(text="Put back into the queue by an administrator")
    note(run.connection, "sync_requeued", actor=actor)
    transaction.on_commit(nudge)


# --- Schedules --------------------------------------------------------------------------------------------------------
def pause(schedule: Schedule, *, actor: User) -> None:
    """Raises NotAllowed when it is paused already."""
    _set_pause(schedule, actor=actor, pause=True)


def resume(schedule: Schedule, *, actor: User) -> None:
    """As its owner had it; the next turn counts from now. Raises NotAllowed when it is not paused."""
    _set_pause(schedule, actor=actor, pause=False)


@transaction.atomic
def _set_pause(schedule: Schedule, *, actor: User, pause: bool) -> None:
    locked = Schedule.objects.select_for_update(of=("self",)).select_related("connection__user").get(pk=schedule.pk)
    if (locked.paused_at is not None) is pause:
        raise NotAllowed("It is paused already." if pause else "It is not paused.")
    locked.paused_at = timezone.now() if pause else None
    locked.arm(timezone.now(), zone=locked.connection.user.timezone)
    locked.save(update_fields=["paused_at", "zone", "next_at"])
    note(locked.connection, "schedule_paused" if pause else "schedule_resumed", actor=actor)


# --- Parked rows ------------------------------------------------------------------------------------------------------
class WordForm(ActForm):
    """Which of the row's words says what it is, and what that is. Rows with other words in that place get rules too."""

    field = forms.ChoiceField(label="Known by")
    kind = forms.ChoiceField(label="Is always", choices=[(kind.value, kind.label) for kind in word_rules.KINDS])
    field_order = ("field", "kind", "why")

    def __init__(self, rows: Sequence[Any], data: Any = None) -> None:
        super().__init__(rows, data)
        words: dict[str, set[str]] = {}
        for row in rows:
            for name, word in word_rules.words_of(row).items():
                numbers = (row.account.external_id, *row.account.aliases)
                words.setdefault(name, set()).add(masked(word, known=numbers))
        field = self.fields["field"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(name, f"{name}: {', '.join(sorted(found)[:5])}") for name, found in words.items()]
        if not words:
            field.help_text = "These rows have no word that a rule could know them by; their owners can map them."


def map_word(row: ParkedRow, *, actor: User, field: str, kind: str) -> None:
    """Make a rule for the row's owner, and book what waits. Raises NotReadable."""
    owner = row.account.connection.user
    word_rules.remember(owner, row, field=field, kind=TransactionKind(kind))
    note(row.account.connection, "word_mapped", actor=actor)
