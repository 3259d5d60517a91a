"""Which instrument a record means: one row for one thing, however its sources spell it."""

import re
from collections.abc import Collection, Iterable
from typing import Any

from django.db.models import Q

from aggregation.models import Instrument
from connections.brokers.records import AssetClass, InstrumentRecord

# What shares a family shares its symbols: a broker's file that calls an ETF a stock still means the same instrument.
FAMILIES = {
    AssetClass.OPTION: "option",
    AssetClass.CRYPTO: "crypto",
    AssetClass.FUTURE: "future",
    AssetClass.FOREX: "forex",
}
SECURITY = "security"
LEARNT = ["key", "symbol", "asset_class", "name", "cusip", "isin", "underlying", "multiplier"]
_CUSIP = re.compile(r"[0-9A-Z*@#]{8}[0-9]")


def is_cusip(text: str) -> bool:
    """Nine characters whose last is the check digit of the others ("modulus 10 double add double", ANSI X9.6)."""
    if not _CUSIP.fullmatch(text):
        return False
    total = 0
    for place, character in enumerate(text[:8]):
        value = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*@#".index(character) * (1 + place % 2)
        total += value // 10 + value % 10
    return (10 - total % 10) % 10 == int(text[8])


def family(asset_class: str) -> str:
    return FAMILIES.get(AssetClass(asset_class), SECURITY)


def key_of(record: InstrumentRecord) -> str:
    """The hub's own identity of an instrument: `family:symbol:currency`."""
    return f"{family(record.asset_class)}:{record.symbol or record.cusip}:{record.currency}"


def resolve(records: Iterable[InstrumentRecord]) -> dict[InstrumentRecord, int]:
    """The instrument's id for each distinct record; missing ones are made, and what a record newly tells is filled in.

    A source that gives a CUSIP where its symbol should stand is understood by that CUSIP. An instrument first met that
    way takes its real symbol, and keeps its rows, as soon as a source tells both.
    """
    wanted = {record: key_of(record) for record in set(records)}
    if not wanted:
        return {}
    by_cusip_only = {record for record in wanted if not record.symbol or is_cusip(record.symbol)}
    _make_missing(wanted.keys() - by_cusip_only)
    _make_missing(by_cusip_only)  # after the others, which may have brought the very CUSIP with its symbol
    known = _Known(wanted)
    found = {record: known.get(record) for record in wanted}
    _learn(found)
    return {record: instrument.pk for record, instrument in found.items()}


def _make_missing(records: Collection[InstrumentRecord]) -> None:
    known = _Known(records)
    missing = {key_of(record): _new(record) for record in records if known.find(record) is None}
    # Sorted, so that two bookings that meet the same new instruments wait for each other instead of deadlocking.
    Instrument.objects.bulk_create([missing[key] for key in sorted(missing)], ignore_conflicts=True)


class _Known:
    """The instruments that may be meant by `records`, by key and by CUSIP."""

    def __init__(self, records: Collection[InstrumentRecord]) -> None:
        keys = {key_of(record) for record in records}
        cusips = {cusip for record in records for cusip in (record.cusip, record.symbol) if is_cusip(cusip)}
        rows = Instrument.objects.filter(Q(key__in=keys) | Q(cusip__in=cusips)).order_by("pk")
        self.by_key = {row.key: row for row in rows}
        self.by_cusip: dict[tuple[str, str, str], Instrument] = {}
        for row in rows:
            place = (family(row.asset_class), row.cusip, row.currency)
            if row.cusip and (place not in self.by_cusip or is_cusip(self.by_cusip[place].symbol)):
                self.by_cusip[place] = row

    def find(self, record: InstrumentRecord) -> Instrument | None:
        cusip = record.symbol if is_cusip(record.symbol) else record.cusip
        by_key = self.by_key.get(key_of(record))
        by_cusip = self.by_cusip.get((family(record.asset_class), cusip, record.currency))
        if not record.symbol or is_cusip(record.symbol):
            return by_cusip or by_key
        if by_key is None and by_cusip is not None and by_cusip.symbol == by_cusip.cusip:
            return by_cusip
        return by_key

    def get(self, record: InstrumentRecord) -> Instrument:
        instrument = self.find(record)
        if instrument is None:
            raise Instrument.DoesNotExist(f"no instrument {key_of(record)} although it was just made")
        return instrument


def _name(record: InstrumentRecord) -> str:
    return record.name.replace("\0", "")[:200]


def _new(record: InstrumentRecord) -> Instrument:
    return Instrument(
        key=key_of(record),
        asset_class=record.asset_class,
        symbol=record.symbol or record.cusip,
        currency=record.currency,
        name=_name(record),
        cusip=next((text for text in (record.cusip, record.symbol) if is_cusip(text)), ""),
        isin=record.isin[:12],
        underlying=record.underlying,
        multiplier=record.multiplier,
    )


def _learn(found: dict[InstrumentRecord, Instrument]) -> None:
    """Write down what the records tell beyond what the rows know. What a row knows is never overwritten."""
    incomplete = {row.pk for record, row in found.items() if _complete(row, record)}
    if not incomplete:
        return
    # Read again under a lock: another booking may be learning something else of the same instrument.
    locked = Instrument.objects.select_for_update(no_key=True).filter(pk__in=incomplete).order_by("pk").in_bulk()
    for record, row in sorted(found.items(), key=lambda item: key_of(item[0])):
        if row.pk in locked:
            _complete(locked[row.pk], record)
    Instrument.objects.bulk_update(locked.values(), LEARNT)


def _complete(row: Instrument, record: InstrumentRecord) -> bool:
    """Fill the gaps of the unsaved `row` from `record`; True when it changed."""
    told: dict[str, Any] = {
        "name": _name(record),
        "cusip": record.cusip if is_cusip(record.cusip) else "",
        "isin": record.isin[:12],
        "underlying": record.underlying,
    }
    news: dict[str, Any] = {name: value for name, value in told.items() if value and not getattr(row, name)}
    if row.asset_class == AssetClass.OTHER != record.asset_class:
        news["asset_class"] = record.asset_class
    if row.multiplier == 1 != record.multiplier:
        news["multiplier"] = record.multiplier
    if row.symbol == row.cusip and record.symbol and not is_cusip(record.symbol):
        news |= {"symbol": record.symbol, "key": key_of(record)}
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
        underlying=thing.underlying,
        multiplier=thing.multiplier,
    )
