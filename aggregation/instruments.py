"""Which instrument a record means: one row for one thing, however its sources spell it."""

from collections.abc import Collection, Iterable
from typing import Any

from django.db.models import Q
from django.utils import timezone

from aggregation.models import Instrument
from aggregation.positions.identity import family, number_of
from aggregation.positions.naming import is_cusip, national_number, spelled
from connections.brokers.records import AssetClass, InstrumentRecord

LEARNT = ["key", "symbol", "asset_class", "name", "cusip", "isin", "conid", "underlying", "multiplier", "learnt_at"]
WORTH = ("asset_class", "multiplier", "symbol")  # what days gone by are worth hangs on these


def key_of(record: InstrumentRecord) -> str:
    """The hub's own identity of an instrument: `family:symbol:currency`, the symbol in one spelling."""
    return _key(record, spelled(_symbol(record), record.asset_class, record.currency))


def _key(record: InstrumentRecord, symbol: str) -> str:
    return f"{family(record.asset_class)}:{symbol}:{record.currency}"


def _symbol(record: InstrumentRecord) -> str:
    return record.symbol or record.cusip


def _keys(record: InstrumentRecord) -> list[str]:
    """Where its row may be: its own key; that of another thing of the same symbol; as it was spelled before."""
    key, number = key_of(record), _number(record)
    return [*([f"{key}:{number}"] if number else []), key, _key(record, _symbol(record))]


def resolve(records: Iterable[InstrumentRecord]) -> dict[InstrumentRecord, int]:
    """The instrument's id for each distinct record; missing ones are made, and what a record newly tells is filled in.

    A source that gives a CUSIP where its symbol should stand is understood by that CUSIP. An instrument first met that
    way takes its real symbol, and keeps its rows, as soon as a source tells both. The same symbol with another ISIN or
    CUSIP is another instrument: symbols are given away again, and mean other things elsewhere.
    """
    wanted = set(records)
    if not wanted:
        return {}
    by_cusip_only = {record for record in wanted if not record.symbol or is_cusip(record.symbol)}
    _make_missing(wanted - by_cusip_only)
    _make_missing(by_cusip_only)  # after the others, which may have brought the very CUSIP with its symbol
    known = _Known(wanted)
    found = {record: known.get(record) for record in sorted(wanted, key=_by_number)}
    _learn(known, found)
    return {record: instrument.pk for record, instrument in found.items()}


def _make_missing(records: Collection[InstrumentRecord]) -> None:
    known = _Known(records)
    missing: dict[str, Instrument] = {}
    for record in sorted(records, key=_by_number):
        if known.find(record) is None:
            row = known.add(_new(record, known.free_key(record)))
            missing[row.key] = row
    # Sorted, so that two bookings that meet the same new instruments wait for each other instead of deadlocking.
    Instrument.objects.bulk_create([missing[key] for key in sorted(missing)], ignore_conflicts=True)


class _Known:
    """The instruments that may be meant by `records`, by key and by CUSIP. A row that is found learns at once, in
    memory, so that the next record with another number is not taken for the same."""

    def __init__(self, records: Collection[InstrumentRecord]) -> None:
        keys = {key for record in records for key in _keys(record)}
        cusips = {cusip for record in records for cusip in (record.cusip, record.symbol) if is_cusip(cusip)}
        self.by_key: dict[str, Instrument] = {}
        self.by_cusip: dict[tuple[str, str, str], Instrument] = {}
        self.changed: set[int] = set()
        for row in Instrument.objects.filter(Q(key__in=keys) | Q(cusip__in=cusips)).order_by("pk"):
            self.add(row)

    def add(self, row: Instrument) -> Instrument:
        self.by_key[row.key] = row
        place = (family(row.asset_class), row.cusip, row.currency)
        if row.cusip and (place not in self.by_cusip or is_cusip(self.by_cusip[place].symbol)):
            self.by_cusip[place] = row
        return row

    def free_key(self, record: InstrumentRecord) -> str:
        """The key of a new row: with its number behind it when another thing has the symbol already."""
        key = key_of(record)
        return _keys(record)[0] if key in self.by_key else key

    def find(self, record: InstrumentRecord) -> Instrument | None:
        cusip = record.symbol if is_cusip(record.symbol) else record.cusip
        rows = (self.by_key.get(key) for key in _keys(record))
        row = next((row for row in rows if row and not _is_another(row, record)), None)
        by_cusip = self.by_cusip.get((family(record.asset_class), cusip, record.currency))
        if not record.symbol or is_cusip(record.symbol):
            row = by_cusip or row
        elif row is None and by_cusip is not None and by_cusip.symbol == by_cusip.cusip:
            row = by_cusip
        if row is not None and _complete(row, record, self.free_key(record)):
            self.changed.add(row.pk)
        return row

    def get(self, record: InstrumentRecord) -> Instrument:
        instrument = self.find(record)
        if instrument is None:
            raise Instrument.DoesNotExist(f"no instrument {key_of(record)} although it was just made")
        return instrument


def _is_another(row: Instrument, record: InstrumentRecord) -> bool:
    """The same symbol, and both tell a number that proves them to be two."""
    told, known = _number(record), number_of(row)
    return bool(told and known and told != known)


def _number(record: InstrumentRecord) -> str:
    return national_number(record.cusip, record.isin)


def _by_number(record: InstrumentRecord) -> tuple[str, bool, str]:
    """An order that does not depend on the source's; those without a number take what the others leave."""
    return key_of(record), not _number(record), _number(record)


def _cusip(record: InstrumentRecord) -> str:
    """Also where it stands in place of the symbol, or within an ISIN."""
    return next((text for text in (record.cusip, record.symbol, _number(record)) if is_cusip(text)), "")


def _name(record: InstrumentRecord) -> str:
    return record.name.replace("\0", "")[:200]


def _new(record: InstrumentRecord, key: str) -> Instrument:
    return Instrument(
        key=key,
        asset_class=record.asset_class,
        symbol=spelled(_symbol(record), record.asset_class, record.currency),
        currency=record.currency,
        name=_name(record),
        cusip=_cusip(record),
        isin=record.isin[:12],
        conid=record.conid,
        underlying=record.underlying,
        multiplier=record.multiplier,
    )


def _learn(known: _Known, found: dict[InstrumentRecord, Instrument]) -> None:
    """Write down what the records tell beyond what the rows know. What a row knows is never overwritten."""
    if not known.changed:
        return
    # Read again under a lock: another booking may be learning something else of the same instrument.
    changed = Instrument.objects.select_for_update(no_key=True).filter(pk__in=known.changed).order_by("pk").in_bulk()
    for record, row in found.items():
        if row.pk in changed:
            _complete(changed[row.pk], record, row.key)
    Instrument.objects.bulk_update(changed.values(), LEARNT)


def _complete(row: Instrument, record: InstrumentRecord, key: str) -> bool:
    """Fill the gaps of the unsaved `row` from `record`; True when it changed. `key` is its own once it has a symbol."""
    told: dict[str, Any] = {
        "name": _name(record),
        "cusip": _cusip(record),
        "isin": record.isin[:12],
        "conid": record.conid,
        "underlying": record.underlying,
    }
    news: dict[str, Any] = {name: value for name, value in told.items() if value and not getattr(row, name)}
    if row.asset_class == AssetClass.OTHER != record.asset_class:
        news["asset_class"] = record.asset_class
    if row.multiplier == 1 != record.multiplier:
        news["multiplier"] = record.multiplier
    if row.symbol == row.cusip and record.symbol and not is_cusip(record.symbol):
        news |= {"symbol": spelled(record.symbol, record.asset_class, record.currency), "key": key}
    if not news.keys().isdisjoint(WORTH):
        news["learnt_at"] = timezone.now()
    for name, value in news.items():
        setattr(row, name, value)
    return bool(news)


def as_record(thing: Instrument) -> InstrumentRecord:
    """The instrument in the words of a source, so that `resolve` finds it again."""
    return InstrumentRecord(
        asset_class=AssetClass(thing.asset_class),
        symbol=thing.symbol,
        currency=thing.currency,
        name=thing.name,
        cusip=thing.cusip,
        isin=thing.isin,
        conid=thing.conid,
        underlying=thing.underlying,
        multiplier=thing.multiplier,
    )
