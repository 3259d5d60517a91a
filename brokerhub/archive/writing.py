"""Writes a person's data as a zip: one line of JSON a row, a file a table, and a manifest with counts and checksums.

Rows have no ids in it: they are numbered, table by table in their order, and name each other by number. So the file
says the same wherever it was read in and written again. It is streamed, so that its size is no matter.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from aggregation.models import Instrument
from brokerhub.archive.tables import NUMBERED, PERSON, SHARED, TABLES, Table, is_array_of_rows
from brokerhub.archive.values import told
from brokerhub.kernel.models import User

VERSION = 2
FORMAT = "broker-integration-hub-export"
INSTRUMENTS = "data/aggregation.Instrument.jsonl"
PROFILE = "data/profile.jsonl"
PROFILE_FIELDS = ("name", "currency", "timezone")
INSTRUMENT_FIELDS = tuple(
    each.name for each in Instrument._meta.concrete_fields if not each.primary_key and each.name != "learnt_at"
)
AT_ONCE = 2000  # rows read at a time
PIECE = 256 * 1024  # bytes handed over at a time
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same data makes the same entry
Numbers = dict[str, dict[Any, int]]


class _Outlet(io.RawIOBase):
    """Where the zip is written to; what has been written can be taken away, so it cannot be sought."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        piece = bytes(content)
        self._pieces.append(piece)
        self.size += len(piece)
        return len(piece)

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces, self.size = [], 0
        return taken


def write(user: User) -> Iterator[bytes]:
    """The zip in pieces, all of it as the data were at one moment."""
    numbers: Numbers = {label: {} for label in NUMBERED}
    outlet, files = _Outlet(), dict[str, Any]()
    with _one_moment(), zipfile.ZipFile(outlet, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, lines in _files(user, numbers):
            digest, count, size = hashlib.sha256(), 0, 0
            with archive.open(_entry(name), "w", force_zip64=True) as entry:
                for line in lines:
                    content = json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
                    entry.write(content)
                    digest.update(content)
                    count, size = count + 1, size + len(content)
                    if outlet.size > PIECE:
                        yield outlet.take()
            files[name] = {"rows": count, "bytes": size, "sha256": digest.hexdigest()}
        archive.writestr(_entry("manifest.json"), json.dumps(_manifest(files), indent=2))
    yield outlet.take()


def _manifest(files: dict[str, Any]) -> dict[str, Any]:
    return {"format": FORMAT, "version": VERSION, "made_at": timezone.now().isoformat(), "files": files}


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


@contextmanager
def _one_moment() -> Iterator[None]:
    """A transaction that sees the data as they are at its first query, whatever is booked meanwhile."""
    is_outermost = not connection.in_atomic_block
    with transaction.atomic():
        if is_outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def _files(user: User, numbers: Numbers) -> Iterator[tuple[str, Iterator[Any]]]:
    """Each file with its lines; a table comes after those it names."""
    yield PROFILE, User.objects.filter(pk=user.pk).values(*PROFILE_FIELDS).iterator()
    yield INSTRUMENTS, _instruments(user)
    for table in TABLES:
        yield table.file, _rows(table, user, numbers)


def _instruments(user: User) -> Iterator[Any]:
    """All that any row of the person is about; what an instrument is, is everybody's."""
    wanted: set[int] = set()
    for table in TABLES:
        for each in table.fields:
            if each.related_model is Instrument:
                rows = table.model._base_manager.filter(**{table.path: user}).exclude(**{each.name: None})
                wanted |= set(rows.order_by().values_list(each.attname, flat=True).distinct())
    found = Instrument.objects.filter(pk__in=wanted).order_by("key")
    for values in found.values_list(*INSTRUMENT_FIELDS).iterator(chunk_size=AT_ONCE):
        yield {name: told(value) for name, value in zip(INSTRUMENT_FIELDS, values, strict=True)}


def _rows(table: Table, user: User, numbers: Numbers) -> Iterator[Any]:
    fields = table.fields
    names = [f"{each.name}__{SHARED[label]}" if (label := _target(each)) in SHARED else each.attname for each in fields]
    rows = table.model._base_manager.filter(**{table.path: user}).order_by(*table.order)
    own = numbers.get(table.label)
    if own is not None:  # before the rows, which may name later ones
        own.update((pk, number) for number, pk in enumerate(rows.values_list("pk", flat=True).iterator(), 1))
    for values in rows.values_list(*names).iterator(chunk_size=AT_ONCE):
        row: dict[str, Any] = {}
        for each, value in zip(fields, values, strict=True):
            label = _target(each)
            if label == PERSON:
                row[each.name] = None if value != user.pk else "me"
            elif label and label not in SHARED:
                row[each.name] = None if value is None else numbers[label].get(value)
            elif is_array_of_rows(table, each):
                known = numbers[table.rows_of[each.name]]
                row[each.name] = [known[pk] for pk in value if pk in known]
            elif each.name in table.rows_in:
                row[each.name] = _with_numbers(value, *table.rows_in[each.name], numbers)
            else:
                row[each.name] = told(value)
        if table.settle:
            table.settle(row)
        yield row


def _with_numbers(value: Any, key: str, label: str, numbers: Numbers) -> Any:
    if value is None or key not in value:
        return value
    return {**value, key: [numbers[label][pk] for pk in value[key] if pk in numbers[label]]}


def _target(each: Any) -> str:
    """The label of the model a relation leads to; "" for a plain field."""
    return each.related_model._meta.label if each.is_relation else ""
