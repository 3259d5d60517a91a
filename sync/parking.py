"""Rows no rule understands: kept as they came, once each, until a rule books them."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from connections.brokers.records import ParkedRecord, TransactionRecord
from connections.models import Account
from sync.models import ParkedRow, SyncRun

_ACCOUNT_KEY = re.compile(r"account|hash", re.I)
_LONG_NUMBER = re.compile(r"(?<![\d.])\d{6,}(?![\d.])")


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


def masked(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The raw row as people may see it: account numbers and long digit runs beside them shortened to "...345"."""
    secrets = {str(value) for key, value in raw.items() if _ACCOUNT_KEY.search(key) and isinstance(value, str | int)}
    return {key: _mask(key, value, secrets) for key, value in raw.items()}


def _mask(key: str, value: Any, secrets: set[str]) -> Any:
    if isinstance(value, Mapping):
        return {inner: _mask(inner, item, secrets) for inner, item in value.items()}
    if isinstance(value, list):
        return [_mask(key, item, secrets) for item in value]
    if isinstance(value, str | int) and not isinstance(value, bool):
        if _ACCOUNT_KEY.search(key) or str(value) in secrets:
            return f"...{str(value)[-3:]}"
        if isinstance(value, str) and " " in value:  # free text: "JOURNAL TO 00004321"
            return _LONG_NUMBER.sub(lambda match: f"...{match[0][-3:]}", value)
    return value
