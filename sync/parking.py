"""Rows no rule understands: kept as they came, once each, until a rule books them or their run is taken back."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import BigIntegerField, CharField, Exists, F, Func, OuterRef, Q, QuerySet, Value
from django.utils import timezone

from aggregation.models import Transaction
from aggregation.redaction import masked
from aggregation.staging import json_text
from connections.brokers.records import ParkedRecord, TransactionRecord
from connections.models import Account
from sync.models import ParkedRow, SyncRun


def split(
    records: Iterable[TransactionRecord | ParkedRecord],
) -> tuple[list[TransactionRecord], list[ParkedRecord]]:
    understood: list[TransactionRecord] = []
    parked: list[ParkedRecord] = []
    for record in records:
        if isinstance(record, ParkedRecord):
            parked.append(record)
        else:
            understood.append(record)
    return understood, parked


def park(*, run: SyncRun, account: Account, parked: Sequence[ParkedRecord]) -> None:
    """Keep `parked`. The same rows again change nothing; equal rows of one page or file stay several."""
    rows = [
        ParkedRow(
            run=run,
            told_by=[run.pk],
            account=account,
            external_id=record.external_id,
            digest=digest,
            reason=record.reason[:300],
            raw=json.loads(json_text(record.raw)),
        )
        for record, digest in zip(parked, digests(record.raw for record in parked), strict=True)
    ]
    ParkedRow.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1000)
    known = ParkedRow.objects.filter(account=account, digest__in=[row.digest for row in rows])
    known.exclude(told_by__contains=[run.pk]).update(
        told_by=Func("told_by", Value(run.pk, BigIntegerField()), function="array_append"), is_aside=False
    )


class Waiting:
    """The rows of an account that wait, and what has been booked since: which of them are understood by now?

    A row with an id is known by it; its legs, booked one by one, carry it before a colon. One without is known by its
    content.
    """

    def __init__(self, account: Account) -> None:
        unresolved = ParkedRow.objects.filter(account=account, resolved_at=None)
        self.rows = list(unresolved.values_list("pk", "external_id", "digest"))
        self.names: set[str] = set()
        self.contents: set[str] = set()
        self.twins: Counter[str] = Counter()

    def note(self, booked: Iterable[TransactionRecord]) -> None:
        """Records of one page or file, in one go or in several."""
        if not self.rows:
            return
        for record in booked:
            if record.external_id:
                self.names |= {record.external_id, record.external_id.partition(":")[0]}
            else:
                self.contents.update(digests([record.raw], self.twins))

    def resolve(self, *mended: int, run: SyncRun | None = None) -> None:
        """Those that are understood in `run`, and the `mended`, wait no longer; nor will those of a run taken back."""
        understood = {pk for pk, name, digest in self.rows if (name in self.names if name else digest in self.contents)}
        understood |= {pk for pk, *_ in self.rows if pk in mended}
        ParkedRow.objects.filter(pk__in=understood).update(resolved_at=timezone.now(), resolved_by=run)


def resolve(account: Account, booked: Sequence[TransactionRecord], *, run: SyncRun | None = None) -> None:
    """Rows that waited and are understood by now, in `run`, wait no longer."""
    waiting = Waiting(account)
    waiting.note(booked)
    waiting.resolve(run=run)


def settle(run: SyncRun) -> int:
    """After `run` was taken back, or applied again: let those of its rows wait that must. How many that changed.

    A row that another run told as well goes on waiting, as one of that run. One whose place was taken by a row of
    `run` waits again while `run` is taken back, unless another run told that row too.
    """
    rows = ParkedRow.objects.filter(Q(told_by__contains=[run.pk]) | Q(resolved_by=run))
    rows = rows.filter(account__connection=run.connection_id).select_for_update(of=("self",))
    runs = SyncRun.objects.filter(connection=run.connection_id)
    undone = set(runs.exclude(undone_at=None).values_list("pk", flat=True))
    booked = _booked(ParkedRow.objects.filter(resolved_by=run)) if run.undone_at else set()
    changed, before = [], {}
    for row in rows:
        before[row.pk] = row.is_waiting
        standing = [pk for pk in row.told_by if pk not in undone]
        row.is_aside = not standing
        if standing and row.run_id in undone:
            row.run_id = standing[-1]
        if row.resolved_by_id == run.pk:
            row.resolved_at = timezone.now() if run.undone_at is None or row.pk in booked else None
        changed.append(row)
    ParkedRow.objects.bulk_update(changed, ["is_aside", "run", "resolved_at"], batch_size=1000)
    return sum(row.is_waiting != before[row.pk] for row in changed)


def _booked(rows: QuerySet[ParkedRow]) -> set[int]:
    """Which of `rows` the books have: by the id, or by an id of the legs; without one, by what was sent."""
    current = Transaction.objects.current().filter(account=OuterRef("account"))
    leg_of = Func(F("external_id"), Value(":"), Value(1), function="split_part", output_field=CharField())
    legs = current.annotate(leg_of=leg_of).filter(leg_of=OuterRef("external_id"))
    has_id = ~Q(external_id="")
    known = rows.filter(
        Q(has_id & Exists(current.filter(external_id=OuterRef("external_id"))))
        | Q(has_id & Exists(legs))
        | Q(Exists(current.filter(external_id="", raw=OuterRef("raw"))), external_id="")
    )
    return set(known.values_list("pk", flat=True))


def digests(raws: Iterable[Mapping[str, Any]], twins: Counter[str] | None = None) -> Iterator[str]:
    """SHA-256 of each row; equal ones are told apart by counting them, with those that `twins` has counted before."""
    twins = Counter() if twins is None else twins
    for raw in raws:
        text = json.dumps(raw, sort_keys=True, cls=DjangoJSONEncoder)
        twins[text] += 1
        yield hashlib.sha256(f"{twins[text]}\n{text}".encode()).hexdigest()


def shown(row: ParkedRow) -> dict[str, Any]:
    """The raw row as people may see it, account numbers masked."""
    raw: dict[str, Any] = masked(row.raw)
    return raw
