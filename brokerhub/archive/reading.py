"""Reads an export into an empty account, all of it or nothing. Nobody knows who wrote a file, so it is checked first.

Nothing is unpacked to a disk; every size is counted while it is read, whatever the file says of itself; only names we
write are taken; every value has to be one its field could hold, and rows can only name rows of the same file.
"""

import hashlib
import json
import uuid
import zipfile
import zlib
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count, groupby, islice
from operator import itemgetter
from typing import IO, Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import Error, transaction
from django.db.models import Field, Model, UUIDField

from aggregation.models import Instrument
from brokerhub.archive.tables import NUMBERED, PERSON, SHARED, TABLES, Table, is_array_of_rows
from brokerhub.archive.values import meant
from brokerhub.archive.writing import FORMAT, INSTRUMENT_FIELDS, INSTRUMENTS, PROFILE, PROFILE_FIELDS, VERSION
from brokerhub.kernel.errors import HubError, NotAllowed
from brokerhub.kernel.models import User

MOST_ZIPPED = 100 * 1024 * 1024  # bytes
MOST_BYTES = 1024 * 1024 * 1024  # of all files together, unpacked
MOST_OF_A_LINE = 64 * 1024 * 1024  # an imported file is one line
MOST_OF_THE_MANIFEST = 256 * 1024
PIECE = 256 * 1024
ROWS_AT_ONCE = 500
Item = TypeVar("Item")
Watched = Callable[[int, int], None]
NAMES = {PROFILE, INSTRUMENTS, *(table.file for table in TABLES)}


class ExportRefused(HubError):
    """The file is not read; the text says why, and what to do. Nothing of it is kept."""

    status = 400
    code = "export_refused"


@dataclass(frozen=True, slots=True)
class Restored:
    """How many rows came, by table."""

    rows: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.rows.values())


def is_empty(user: User) -> bool:
    """Whether nothing that an export has is there yet."""
    return not any(table.model._base_manager.filter(**{table.path: user}).exists() for table in TABLES)


def read(user: User, file: IO[bytes], watched: Watched = lambda done, total: None) -> Restored:
    """`watched` is told how many rows have been read of how many.

    Raises ExportRefused, or NotAllowed when there is something in the account already.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            files = _checked(archive)
            with transaction.atomic():
                if not is_empty(user):
                    raise NotAllowed("There is something in this account already. An export is read into an empty one.")
                return _Reader(user, archive, files, watched).read()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ExportRefused("This is no export of the hub, or it is damaged.") from error
    except (Error, OverflowError) as error:
        raise ExportRefused("The rows of this file contradict each other. Nothing was read.") from error


# --- Checked before anything is written -------------------------------------------------------------------------------
def _checked(archive: zipfile.ZipFile) -> dict[str, Any]:
    """The manifest's files, each of which is there, of the size and with the checksum it says. Raises ExportRefused."""
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if len(names) != len(set(names)) or not set(names) <= NAMES | {"manifest.json"}:
        raise ExportRefused("There are files in this zip that no export of this hub has.")
    if any(entry.flag_bits & 1 for entry in entries):
        raise ExportRefused("This zip has a password. The hub reads its exports as it made them.")
    manifest = _manifest(archive)
    files: dict[str, Any] = manifest["files"]
    if set(files) != NAMES or set(names) != NAMES | {"manifest.json"}:
        raise ExportRefused("This export is not complete: files are missing.")
    left = MOST_BYTES
    for name, said in files.items():
        left -= _verify(archive, name, said, left)
    return files


def _manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    try:
        with archive.open("manifest.json") as entry:
            content = entry.read(MOST_OF_THE_MANIFEST + 1)
        manifest = json.loads(content) if len(content) <= MOST_OF_THE_MANIFEST else None
    except (KeyError, ValueError, RecursionError):
        manifest = None
    if (
        not isinstance(manifest, dict)
        or manifest.get("format") != FORMAT
        or not isinstance(manifest.get("files"), dict)
    ):
        raise ExportRefused("This zip is no export of the hub.")
    if manifest.get("version") != VERSION:
        raise ExportRefused(
            f"This export has version {manifest.get('version')!s:.20}; this hub reads version {VERSION}. "
            "Export once more from a hub of the same age as this one."
        )
    return manifest


def _verify(archive: zipfile.ZipFile, name: str, said: Any, most: int) -> int:
    digest, size = hashlib.sha256(), 0
    with archive.open(name) as entry:
        while piece := entry.read(PIECE):
            size += len(piece)
            if size > most:
                raise ExportRefused("Unpacked, this file is larger than the hub reads: 1 GB.")
            digest.update(piece)
    if not isinstance(said, dict) or said.get("bytes") != size or said.get("sha256") != digest.hexdigest():
        raise ExportRefused(f"{name} is damaged or was changed: its checksum is another than the manifest says.")
    return size


# --- Written ----------------------------------------------------------------------------------------------------------
class _Reader:
    """Takes table after table; what names a row by its number finds the id the row has got here."""

    def __init__(self, user: User, archive: zipfile.ZipFile, files: dict[str, Any], watched: Watched) -> None:
        self.user, self.archive, self.files, self.watched = user, archive, files, watched
        self.done, self.total = 0, sum(_count(said) for said in files.values())
        self.ids: dict[str, list[Any]] = {label: [] for label in NUMBERED}
        self.shared: dict[str, dict[str, Any]] = {}

    def read(self) -> Restored:
        self._instruments()
        rows = {table.label: self._table(table) for table in TABLES}
        self._profile()  # last: the row of a person is locked from here on, and they may want to sign in meanwhile
        return Restored({label: number for label, number in rows.items() if number})

    def _lines(self, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
        with self.archive.open(name) as entry:
            for number in count(1):
                line = entry.readline(MOST_OF_A_LINE)
                if not line:
                    break
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise _odd(name, number, "it is not JSON") from error
                if not isinstance(row, dict):
                    raise _odd(name, number, "it is no row")
                yield number, row
                self.done += 1
                if self.done % ROWS_AT_ONCE == 0:
                    self.watched(self.done, self.total)
        if self.files[name].get("rows") != number - 1:
            raise ExportRefused(f"{name} has {number - 1} rows, and the manifest says another number.")

    def _profile(self) -> None:
        for number, row in self._lines(PROFILE):
            _same_fields(PROFILE, number, row, PROFILE_FIELDS)
            for name in PROFILE_FIELDS:
                setattr(self.user, name, _value(PROFILE, number, User._meta.get_field(name), row[name]))
            _clean(PROFILE, number, self.user, exclude={"email", "password"})
            self.user.save(update_fields=PROFILE_FIELDS)

    def _instruments(self) -> None:
        """Those this hub knows already stay as they are."""
        told: dict[str, Instrument] = {}
        fields = {name: Instrument._meta.get_field(name) for name in INSTRUMENT_FIELDS}
        for number, row in self._lines(INSTRUMENTS):
            _same_fields(INSTRUMENTS, number, row, INSTRUMENT_FIELDS)
            one = Instrument(**{name: _value(INSTRUMENTS, number, fields[name], row[name]) for name in fields})
            _clean(INSTRUMENTS, number, one)
            told[one.key] = one
        Instrument.objects.bulk_create(
            [told[key] for key in sorted(told)], ignore_conflicts=True, batch_size=ROWS_AT_ONCE
        )
        known = Instrument.objects.filter(key__in=told).values_list("key", "pk")
        self.shared["aggregation.Instrument"] = dict(known)

    def _table(self, table: Table) -> int:
        ids = self.ids.get(table.label, [])
        later: list[tuple[int, str, Any]] = []  # (place of the row, field, number of the row it names in its own table)
        written = 0
        for lines in _batched(self._lines(table.file)):
            rows = [self._row(table, number, row, later) for number, row in lines]
            ids += _insert(table, rows)
            written += len(rows)
        _point(table, ids, later)
        return written

    def _row(self, table: Table, number: int, row: dict[str, Any], later: list[tuple[int, str, Any]]) -> Model:
        fields = table.fields
        _same_fields(table.file, number, row, [each.name for each in fields])
        if table.settle:
            try:
                table.settle(row)
            except TypeError as error:
                raise _odd(table.file, number, "its state is none") from error
        values = {}
        for each in fields:
            value = row[each.name]
            if each.is_relation and _label(each) == table.label and value is not None:
                later.append((number - 1, each.attname, value))
                value = None
            values[each.attname] = self._resolved(table, number, each, value)
        one = table.model(**values)
        relations = {each.name for each in table.model._meta.concrete_fields if each.is_relation or each.primary_key}
        _clean(table.file, number, one, exclude=relations | set(table.leave_out))
        if table.arrange:
            table.arrange(one)
        return one

    def _resolved(self, table: Table, number: int, each: "Field[Any, Any]", value: Any) -> Any:
        if is_array_of_rows(table, each):
            return [self._id(table, number, table.rows_of[each.name], one) for one in _list(table, number, value)]
        if each.name in table.rows_in and isinstance(value, dict):
            key, label = table.rows_in[each.name]
            named = [self._id(table, number, label, one) for one in _list(table, number, value.get(key, []))]
            return {**value, key: named} if key in value else value
        if not each.is_relation:
            return _value(table.file, number, each, value)
        label = _label(each)
        if label == PERSON:
            return self._person(table, number, each, value)
        if value is None:
            if not each.null and label != table.label:
                raise _odd(table.file, number, f"{each.name} is missing")
            return None
        return self._named(table, number, label, value) if label in SHARED else self._id(table, number, label, value)

    def _person(self, table: Table, number: int, each: "Field[Any, Any]", value: Any) -> int | None:
        if value not in {"me", None} or (value is None and not each.null):
            raise _odd(table.file, number, f"{each.name} is nobody")
        return self.user.pk if value == "me" else None

    def _id(self, table: Table, number: int, label: str, value: Any) -> Any:
        known = self.ids[label]
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= len(known):
            raise _odd(table.file, number, "it names a row that is not in this export")
        return known[value - 1]

    def _named(self, table: Table, number: int, label: str, value: Any) -> Any:
        if label not in self.shared:
            model = BY_MODEL[label]
            self.shared[label] = dict(model._base_manager.values_list(SHARED[label], "pk"))
        if not isinstance(value, str) or value not in self.shared[label]:
            raise _odd(table.file, number, "it names something this hub does not know")
        return self.shared[label][value]


BY_MODEL: dict[str, Any] = {
    _shared: each.related_model
    for table in TABLES
    for each in table.fields
    if each.is_relation and (_shared := each.related_model._meta.label) in SHARED  # type: ignore[union-attr]
}


def _batched(items: Iterable[Item]) -> Iterator[list[Item]]:
    rest = iter(items)
    while batch := list(islice(rest, ROWS_AT_ONCE)):
        yield batch


def _count(said: Any) -> int:
    """As many rows as the manifest says; what is none is told of when the file is read."""
    rows = said.get("rows") if isinstance(said, dict) else 0
    return rows if isinstance(rows, int) and rows > 0 else 0


def _label(each: Any) -> str:
    return str(each.related_model._meta.label)


def _odd(name: str, number: int, why: str) -> ExportRefused:
    return ExportRefused(f"Line {number} of {name} cannot be read: {why}. Nothing was read.")


def _list(table: Table, number: int, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _odd(table.file, number, "a list is missing")
    return value


def _same_fields(name: str, number: int, row: dict[str, Any], fields: Any) -> None:
    if row.keys() != set(fields):
        raise _odd(name, number, "it has other fields than it should")


def _value(name: str, number: int, each: Any, value: Any) -> Any:
    try:
        return meant(each, value)
    except (ValueError, TypeError, ArithmeticError, ValidationError, Base64Error) as error:
        raise _odd(name, number, f"{each.name} is not what it should be") from error


def _clean(name: str, number: int, one: Model, exclude: Iterable[str] = ()) -> None:
    """What a form would refuse, except that fields may be empty where the hub leaves them so itself."""
    for each in one._meta.concrete_fields:
        value = getattr(one, each.attname)
        if each.name in exclude or each.primary_key:
            continue
        if value is None and not each.null:
            raise _odd(name, number, f"{each.name} is missing")
        if value not in each.empty_values:
            try:
                each.clean(value, one)
            except ValidationError as error:
                raise _odd(name, number, f"{each.name} is not what it should be") from error


def _insert(table: Table, rows: list[Model]) -> list[Any]:
    """Their ids, in order. Raw: times at which a row was made are those of the export, not of now."""
    meta = table.model._meta
    if isinstance(meta.pk, UUIDField):
        for one, pk in zip(rows, sorted(uuid.uuid4() for _ in rows), strict=True):
            one.pk = pk
    fields = [
        each for each in meta.concrete_fields if not each.primary_key or isinstance(each, UUIDField) or each.is_relation
    ]
    inserted = table.model._base_manager._insert(  # type: ignore[attr-defined]
        rows, fields=fields, returning_fields=[meta.pk], using="default", raw=True
    )
    return [pk for (pk,) in inserted]


def _point(table: Table, ids: list[Any], later: list[tuple[int, str, Any]]) -> None:
    """Let rows name others of their own table, now that all have ids."""
    names = {each.name for each in table.fields if each.is_relation and _label(each) == table.label}
    groups = ((place, list(told)) for place, told in groupby(later, key=itemgetter(0)))
    for batch in _batched(groups):
        table.model._base_manager.bulk_update([_pointing(table, ids, place, told) for place, told in batch], names)


def _pointing(table: Table, ids: list[Any], place: int, told: list[tuple[int, str, Any]]) -> Model:
    one = table.model(pk=ids[place])
    for _, attname, value in told:
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= len(ids):
            raise _odd(table.file, place + 1, "it names a row that is not in this export")
        setattr(one, attname, ids[value - 1])
    return one
