"""Looking back at runs: filters for page, API and export alike, and what of old runs is removed."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import django_filters as filters
from django.db.models import Exists, OuterRef, QuerySet
from django.forms import DateInput, Select
from django.utils import timezone

from aggregation.models import Transaction
from brokerhub.kernel.models import User
from connections.models import Connection
from sync.models import HistorySetting, Mode, ParkedRow, RunEntry, RunState, SyncRun, SyncRunQuerySet, Trigger

BATCH = 5000
COLUMNS = (
    "id",
    "connection",
    "trigger",
    "mode",
    "account",
    "from_on",
    "to_on",
    "state",
    "due_at",
    "created_at",
    "started_at",
    "finished_at",
    "undone_at",
    "fetched",
    "inserted",
    "matched",
    "superseded",
    "parked",
    "rejected",
    "error_code",
    "error",
)


def _own_connections(request: Any) -> QuerySet[Connection]:
    """Of the person who asks; none while the API is being described, when nobody asks."""
    if request is None or not request.user.is_authenticated:
        return Connection.objects.none()
    return Connection.objects.for_user(request.user).order_by("label")


class RunFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter has no type hints
    connection = filters.UUIDFilter("connection_id")
    state = filters.ChoiceFilter(choices=RunState.choices, empty_label="Any state")
    trigger = filters.ChoiceFilter(label="Started", choices=Trigger.choices, empty_label="Any way")
    mode = filters.ChoiceFilter(label="Kind", choices=Mode.choices, empty_label="Any kind")
    since = filters.DateFilter("created_at", "date__gte", label="From", widget=DateInput({"type": "date"}))
    until = filters.DateFilter("created_at", "date__lte", label="To", widget=DateInput({"type": "date"}))

    undone = filters.BooleanFilter(
        "undone_at",
        "isnull",
        exclude=True,
        label="Taken back",
        widget=Select(choices=[("", "All"), ("true", "Taken back"), ("false", "Not taken back")]),
    )

    class Meta:
        model = SyncRun
        fields = ("connection", "state", "trigger", "mode", "since", "until", "undone")


class RunPageFilter(RunFilter):
    """With the person's connections to choose from."""

    connection = filters.ModelChoiceFilter(queryset=_own_connections, empty_label="All")


def rows(runs: SyncRunQuerySet) -> Iterator[dict[str, Any]]:
    """Runs for an export, newest first."""
    names = {"connection": "connection__label", "account": "account__name"}
    found = runs.order_by("-pk").values_list(*(names.get(column, column) for column in COLUMNS))
    for values in found.iterator(chunk_size=2000):
        plain = (value.isoformat() if hasattr(value, "isoformat") else value for value in values)
        yield dict(zip(COLUMNS, plain, strict=True))


def keep_for(user: User, days: int | None) -> HistorySetting:
    """Set for how many days the person keeps logs; None is for ever. Raises ValidationError."""
    setting = HistorySetting.objects.filter(user=user).first() or HistorySetting(user=user)
    setting.keep_days = days
    setting.full_clean()
    setting.save()
    return setting


def remove_old() -> int:
    """Remove the logs of runs older than their person keeps them, and of these runs those nothing came of.

    A run that booked, parked or imported something stays, because rows point at it; so does the last good one of a
    connection, from which is told how old its data are.
    """
    removed = 0
    for setting in HistorySetting.objects.exclude(keep_days=None).select_related("user"):
        before = timezone.now() - timedelta(days=setting.keep_days or 0)
        old = SyncRun.objects.for_user(setting.user).over().filter(finished_at__lt=before)
        removed += RunEntry.objects.filter(run__in=old).delete()[0]
        later = SyncRun.objects.filter(
            connection=OuterRef("connection"), state=RunState.SUCCEEDED, pk__gt=OuterRef("pk")
        )
        empty = old.filter(
            Exists(later),
            ~Exists(Transaction.objects.filter(run=OuterRef("pk"))),
            ~Exists(ParkedRow.objects.filter(run=OuterRef("pk"))),
            inserted=0,
            superseded=0,
            parked=0,
        ).exclude(trigger=Trigger.IMPORT)
        while batch := list(empty.values_list("pk", flat=True)[:BATCH]):
            removed += SyncRun.objects.filter(pk__in=batch).delete()[0]
    return removed
