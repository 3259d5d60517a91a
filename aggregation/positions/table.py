"""The unified table of positions: narrowed, grouped, sorted, with its sums. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from aggregation import options
from aggregation.models import Instrument
from aggregation.positions.entries import CASH, CLASSES, Entry, Row, Sums
from aggregation.positions.naming import is_cusip
from aggregation.valuation import fraction
from connections.brokers.records import AssetClass, Broker

Label = tuple[str, str]  # a stable key, and words for people
SIDES = {"long": "Long", "short": "Short"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person wants to see. Empty is everything, ungrouped, the most valuable first."""

    group: str = ""
    sort: str = "-value"
    q: str = ""
    account: int | None = None
    broker: str = ""
    asset_class: str = ""
    currency: str = ""
    side: str = ""

    def takes(self, entry: Entry) -> bool:
        return (
            (self.account is None or entry.account.pk == self.account)
            and (not self.broker or entry.broker == self.broker)
            and (not self.asset_class or entry.asset_class == self.asset_class)
            and (not self.currency or entry.currency == self.currency)
            and (not self.q or self.q.casefold() in _text(entry))
        )

    def takes_row(self, row: Row) -> bool:
        if not self.side:
            return True
        return row.quantity is not None and (row.quantity < 0) == (self.side == "short")


@dataclass(frozen=True, slots=True)
class Section:
    """One group of rows. `weight` is its share of all that is held."""

    key: str
    label: str
    rows: Sequence[Row]
    sums: Sums
    weight: Decimal | None


@dataclass(frozen=True, slots=True)
class Table:
    """`sums` are those of what is shown, `whole` those of everything held; both in `currency`."""

    currency: str
    sections: Sequence[Section]
    sums: Sums
    whole: Sums

    @property
    def weight(self) -> Decimal | None:
        return fraction(self.sums.whole, self.whole.whole)

    @property
    def rows(self) -> list[Row]:
        return [row for section in self.sections for row in section.rows]


def unified(held: Iterable[Entry], asked: Asked, currency: str, leads: Mapping[int, Instrument]) -> Table:
    """The table in `currency`. `leads` are instruments by id; a thing goes by the name of its own.

    Sections are in the order of their value, what belongs to none at the end.
    """
    everything = list(held)
    whole = Sums.of(everything)
    taken = [entry for entry in everything if asked.takes(entry)]
    label = GROUPINGS[asked.group](taken)
    groups: dict[str, list[Entry]] = defaultdict(list)
    labels: dict[str, str] = {}
    for entry in taken:
        key, words = label(entry)
        groups[key].append(entry)
        labels.setdefault(key, words)
    sections = []
    for key, parts in groups.items():
        rows = [row for row in _rows(parts, whole.whole, leads) if asked.takes_row(row)]
        if rows:
            sums = Sums.of(entry for row in rows for entry in row.parts)
            ordered = in_order(rows, asked.sort)
            sections.append(Section(key, labels[key], ordered, sums, fraction(sums.whole, whole.whole)))
    sections.sort(key=lambda section: (section.key == "", -section.sums.value, section.label))
    shown = Sums.of(entry for section in sections for row in section.rows for entry in row.parts)
    return Table(currency, sections, shown, whole)


def _rows(parts: Iterable[Entry], whole: Decimal | None, leads: Mapping[int, Instrument]) -> list[Row]:
    """One for each thing and currency: prices and costs of two currencies have no common measure."""
    found: dict[Any, list[Entry]] = defaultdict(list)
    for entry in parts:
        found[entry.thing, entry.currency].append(entry)
    return [
        Row.of(entries, _lead(leads[thing.instrument_id], entries) if thing else None, whole)
        for (thing, _), entries in found.items()
    ]


def _lead(own: Instrument, entries: Iterable[Entry]) -> Instrument:
    """What the row goes by: the thing's own row, unless it has no name, or a number for a symbol, and another has."""
    others = (entry.instrument for entry in entries if entry.instrument is not None)
    return min((own, *others), key=lambda row: (is_cusip(row.symbol), not row.name, row.pk != own.pk, row.pk))


# --- The order --------------------------------------------------------------------------------------------------------
# None is unknown, and comes last either way.
SORTS: dict[str, Callable[[Row], Any]] = {
    "name": lambda row: row.title.casefold(),
    "quantity": lambda row: row.quantity,
    "cost": lambda row: row.average_cost,
    "price": lambda row: row.price,
    "value": lambda row: row.worth,
    "day": lambda row: None if row.is_cash else row.day_worth,
    "gain": lambda row: None if row.is_cash else row.gain_worth,
    "share": lambda row: None if row.is_cash else row.gain_share,
    "weight": lambda row: row.weight,
}


def in_order(rows: Iterable[Row], sort: str) -> list[Row]:
    """By a column of SORTS, "-" in front for the largest first; equal ones by name."""
    value = SORTS[sort.removeprefix("-")]
    by_name = sorted(rows, key=lambda row: (row.title.casefold(), row.currency))
    known = [row for row in by_name if value(row) is not None]
    unknown = [row for row in by_name if value(row) is None]
    return sorted(known, key=value, reverse=sort.startswith("-")) + unknown


# --- The groups -------------------------------------------------------------------------------------------------------
Grouping = Callable[[Sequence[Entry]], Callable[[Entry], Label]]


def _underlying(entry: Entry) -> str:
    """The symbol of what an option is on; a share's own."""
    if entry.instrument is None:
        return ""
    if entry.asset_class != AssetClass.OPTION:
        return entry.instrument.symbol
    option = options.parse(entry.instrument.symbol)
    return entry.instrument.underlying or (option.underlying if option else entry.instrument.symbol)


def _root(symbol: str) -> str:
    """Roots of options are written without the point of a class share."""
    return symbol.replace(".", "")


def _by_underlying(taken: Sequence[Entry]) -> Callable[[Entry], Label]:
    """A group for each underlying that has options, with the shares themselves; everything else together."""
    names: dict[str, str] = {}
    for entry in taken:
        if entry.asset_class == AssetClass.OPTION:
            symbol = _underlying(entry)
            names[_root(symbol)] = max(symbol, names.get(_root(symbol), ""), key=len)  # BRK.B says more than BRKB

    def label(entry: Entry) -> Label:
        key = _root(_underlying(entry))
        return (key, names[key]) if key in names and _may_have_options(entry) else ("", "Without options")

    return label


def _may_have_options(entry: Entry) -> bool:
    return entry.asset_class in (AssetClass.OPTION, AssetClass.EQUITY, AssetClass.ETF, AssetClass.OTHER)


def _thing(entry: Entry) -> Label:
    """Each line of the table by itself."""
    if entry.thing is None or entry.instrument is None:
        return f"cash:{entry.currency}", f"Cash in {entry.currency}"
    own = f":{entry.thing.account_id}" if entry.thing.account_id else ""
    return f"{entry.thing.instrument_id}:{entry.currency}{own}", entry.instrument.title


GROUPINGS: dict[str, Grouping] = {
    "": lambda _: lambda entry: ("all", ""),
    "class": lambda _: lambda entry: (entry.asset_class, CLASSES[entry.asset_class]),
    "currency": lambda _: lambda entry: (entry.currency, entry.currency),
    "broker": lambda _: lambda entry: (entry.broker, Broker(entry.broker).label),
    "account": lambda _: lambda entry: (str(entry.account.pk), str(entry.account)),
    "underlying": _by_underlying,
    "instrument": lambda _: _thing,
}
GROUP_LABELS = {
    "": "None",
    "class": "Asset class",
    "currency": "Currency",
    "broker": "Broker",
    "account": "Account",
    "underlying": "Underlying",
}


def _text(entry: Entry) -> str:
    """What a search looks through, in small letters."""
    found = entry.instrument
    if found is None:
        return f"{CASH} {entry.currency}".casefold()
    words = (found.title, found.symbol, found.name, found.underlying, found.cusip, found.isin, entry.account)
    return " ".join(map(str, words)).casefold()
