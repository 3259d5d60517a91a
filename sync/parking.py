"""Rows no rule understands: kept as they came, once each, until a rule books them."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from aggregation.redaction import masked
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
    twins: Counter[str] = Counter()
    rows = []
    for record in parked:
        text = json.dumps(record.raw, sort_keys=True, cls=DjangoJSONEncoder)
        twins[text] += 1
        digest = hashlib.sha256(f"{twins[text]}\n{text}".encode()).hexdigest()
        rows.append(
            ParkedRow(
                run=run,
                account=account,
                external_id=record.external_id,
                digest=digest,
                reason=record.reason[:300],
                raw=json.loads(text),
            )
        )
    ParkedRow.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1000)


def resolve(account: Account, external_ids: Iterable[str]) -> None:
    """Rows that waited and are understood by now wait no longer."""
    ids = {external_id for external_id in external_ids if external_id}
    waiting = ParkedRow.objects.waiting().filter(account=account).exclude(external_id="")
    known = ids & set(waiting.values_list("external_id", flat=True)) if ids else set()
    if known:
        waiting.filter(external_id__in=known).update(resolved_at=timezone.now())


def shown(row: ParkedRow) -> dict[str, Any]:
    """The raw row as people may see it, account numbers masked."""
    raw: dict[str, Any] = masked(row.raw)
    return raw
