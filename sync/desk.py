"""What of syncs and imports needs an operator, and which runs a request id leads to."""

from collections.abc import Sequence
from datetime import timedelta

from django.utils import timezone

from brokerhub.kernel.desk import Attention, Pile, Source, by_reason, desk, list_of, rows_of
from connections.brokers.records import Broker
from sync.models import ParkedRow, RunState, Schedule, SyncRun, Trouble

LATELY = timedelta(days=1)


def _stuck() -> Sequence[Pile]:
    return by_reason(
        SyncRun.objects.troubled(),
        "trouble",
        words=lambda trouble: Trouble(trouble).label,
        link=lambda trouble: list_of(SyncRun, trouble=trouble),
    )


def _failed() -> Sequence[Pile]:
    since = timezone.now() - LATELY
    moment = since.isoformat(timespec="seconds")
    return by_reason(
        SyncRun.objects.filter(state=RunState.FAILED, finished_at__gte=since),
        "error_code",
        words=lambda code: code.replace("_", " ").capitalize() or "No code",
        link=lambda code: list_of(SyncRun, state__exact="failed", error_code=code, finished_at__gte=moment),
    )


def _late() -> Sequence[Pile]:
    return by_reason(
        Schedule.objects.late(),
        "connection__broker",
        words=lambda broker: f"{Broker(broker).label}: their turn has come and gone",
        link=lambda broker: list_of(Schedule, turn="late", connection__broker__exact=broker),
    )


def _parked() -> Sequence[Pile]:
    return by_reason(
        ParkedRow.objects.waiting(),
        "reason",
        words=lambda reason: reason,
        link=lambda reason: list_of(ParkedRow, reason=reason, waiting="yes"),
    )


def _told(run: SyncRun) -> str:
    asked = f"asked for by {run.requested_by}" if run.requested_by else run.get_trigger_display().lower()
    return f"{run.connection.label}, {asked}"


desk.watch(
    Attention(
        title="Stuck runs",
        advice="Look at the run's log. Requeue it when its worker is gone, cancel it when it cannot end.",
        permission="sync.view_syncrun",
        piles=_stuck,
        tone="bad",
    ),
    Attention(
        title="Late syncs",
        advice="Beat or the workers do not keep up: look at their logs, and start more workers.",
        permission="sync.view_schedule",
        piles=_late,
        tone="bad",
    ),
    Attention(
        title="Runs that failed since yesterday",
        advice="An internal error has a traceback in the log, under the request id of the run.",
        permission="sync.view_syncrun",
        piles=_failed,
    ),
    Attention(
        title="Parked rows",
        advice="A word that many rows have wants a rule of ours; one row's word can be read for its owner.",
        permission="sync.view_parkedrow",
        piles=_parked,
        everything="/admin/sync/parkedrow/?waiting=yes",
    ),
)
desk.search(
    Source(
        title="Syncs and imports",
        permission="sync.view_syncrun",
        find=rows_of(SyncRun, "created_at", "connection", "requested_by", detail=_told),
    )
)
