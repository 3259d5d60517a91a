"""Rows no rule understands: kept as they came, once each, until a rule books them."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

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
            account=account,
            external_id=record.external_id,
            digest=digest,
            reason=record.reason[:300],
            raw=json.loads(json_text(record.raw)),
        )
        for record, digest in zip(parked, digests(record.raw for record in parked), strict=True)
    ]
    ParkedRow.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1000)


def resolve(account: Account, booked: Sequence[TransactionRecord]) -> None:
    """Rows that waited and are understood by now wait no longer.

    A row with an id is known by it; its legs, booked one by one, carry it before a colon. One without is known by its
    content.
    """
    waiting = list(ParkedRow.objects.waiting().filter(account=account).values_list("pk", "external_id", "digest"))
    if not waiting:
        return
    names = {record.external_id for record in booked if record.external_id}
    names |= {name.partition(":")[0] for name in names}
    contents = set(digests(record.raw for record in booked if not record.external_id))
    understood = [pk for pk, name, digest in waiting if (name in names if name else digest in contents)]
    ParkedRow.objects.filter(pk__in=understood).update(resolved_at=timezone.now())


def digests(raws: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """SHA-256 of each row; equal ones are told apart by counting them."""
    twins: Counter[str] = Counter()
    for raw in raws:
        text = json.dumps(raw, sort_keys=True, cls=DjangoJSONEncoder)
        twins[text] += 1
        yield hashlib.sha256(f"{twins[text]}\n{text}".encode()).hexdigest()


def shown(row: ParkedRow) -> dict[str, Any]:
    """The raw row as people may see it, account numbers masked."""
    raw: dict[str, Any] = masked(row.raw)
    return raw
