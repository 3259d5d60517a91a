"""Which rows of `Instrument` are one thing for a person. Pure: no queries.

What proves it: the same ISIN or CUSIP, the same contract id, the same symbol in one spelling. What forbids it: another
currency (price and cost would have no common measure), another family (the coin LINK is not the share LINK), another
ISIN or CUSIP under the same symbol, and a person's own decision, which also joins what nothing proves.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

from aggregation.positions.naming import national_number, spelled
from connections.brokers.records import AssetClass

if TYPE_CHECKING:
    from aggregation.models import Instrument, InstrumentChoice

# What shares a family shares its symbols: a broker's file that calls an ETF a stock still means the same instrument.
FAMILIES = {
    AssetClass.OPTION: "option",
    AssetClass.CRYPTO: "crypto",
    AssetClass.FUTURE: "future",
    AssetClass.FOREX: "forex",
}
SECURITY = "security"


def family(asset_class: str) -> str:
    return FAMILIES.get(AssetClass(asset_class), SECURITY)


@dataclass(frozen=True, slots=True, order=True)
class Thing:
    """One instrument as a person sees it: its oldest row, and the account when they keep that account's apart."""

    instrument_id: int
    account_id: int = 0


def number_of(row: "Instrument") -> str:
    return national_number(row.cusip, row.isin)


Keys = Callable[["Instrument"], Iterator[tuple[str, ...]]]


@dataclass(slots=True)
class _Groups:
    """Instruments in groups; joined under the conditions that no two of a group are kept apart by `apart`."""

    apart: set[frozenset[int]]
    members: dict[int, set[int]] = field(default_factory=dict)

    def may_join(self, one: int, other: int) -> bool:
        return not any(frozenset((a, b)) in self.apart for a in self.members[one] for b in self.members[other])

    def join(self, one: int, other: int) -> None:
        if self.members[one] is self.members[other] or (self.apart and not self.may_join(one, other)):
            return
        self.members[one] |= self.members[other]
        for each in self.members[other]:
            self.members[each] = self.members[one]


class Things:
    """Which thing each of some instruments is. The order in which they are given makes no difference."""

    def __init__(self, rows: Iterable["Instrument"], choices: Iterable["InstrumentChoice"] = ()) -> None:
        self.rows = {row.pk: row for row in rows}
        decided = list(choices)
        self._own_accounts = {
            (choice.instrument_id, choice.account_id) for choice in decided if choice.account_id is not None
        }
        apart = {_pair(choice) for choice in decided if choice.other_id is not None and not choice.is_same}
        self._groups = _Groups(apart, {pk: {pk} for pk in self.rows})
        for one, other in sorted(sorted(_pair(choice)) for choice in decided if choice.is_same):
            if one in self.rows and other in self.rows:
                self._groups.join(one, other)
        for bucket in _buckets(self.rows.values(), _proofs):
            self._join_all(bucket)
        for bucket in _buckets(self.rows.values(), _symbols):
            if not self._is_ambiguous(bucket):
                self._join_all(bucket)

    def of(self, instrument_id: int, account_id: int) -> Thing:
        """What an account holds of an instrument."""
        if (instrument_id, account_id) in self._own_accounts:
            return Thing(instrument_id, account_id)
        return Thing(min(self._groups.members[instrument_id]))

    def members(self, instrument_id: int) -> frozenset[int]:
        """All rows that are the same thing as this one, itself among them."""
        return frozenset(self._groups.members[instrument_id])

    def joined(self) -> list[frozenset[int]]:
        """The groups of more than one row."""
        groups = {frozenset(group) for group in self._groups.members.values() if len(group) > 1}
        return sorted(groups, key=sorted)

    def alike(self) -> list[tuple[int, int]]:
        """Pairs that look alike and are not joined: the same symbol, or the same number in another currency."""
        found = set()
        for bucket in (*_buckets(self.rows.values(), _symbols), *_buckets(self.rows.values(), _names)):
            for one, other in combinations(sorted(bucket), 2):
                if self._groups.members[one] is not self._groups.members[other]:
                    found.add((one, other))
        return sorted(pair for pair in found if frozenset(pair) not in self._groups.apart)

    def _join_all(self, bucket: Collection[int]) -> None:
        for one, other in combinations(sorted(bucket), 2):
            self._groups.join(one, other)

    def _is_ambiguous(self, bucket: Collection[int]) -> bool:
        """Two numbers under one symbol: then the symbol alone tells nothing."""
        numbers = {number_of(self.rows[each]) for pk in bucket for each in self._groups.members[pk]}
        return len(numbers - {""}) > 1


def _pair(choice: "InstrumentChoice") -> frozenset[int]:
    return frozenset((choice.instrument_id, choice.other_id or choice.instrument_id))


def _proofs(row: "Instrument") -> Iterator[tuple[str, ...]]:
    place = (family(row.asset_class), row.currency)
    if number := number_of(row):
        yield (*place, "number", number)
    if row.conid:
        yield (*place, "conid", row.conid)


def _symbols(row: "Instrument") -> Iterator[tuple[str, ...]]:
    yield (family(row.asset_class), row.currency, spelled(row.symbol, row.asset_class, row.currency))


def _names(row: "Instrument") -> Iterator[tuple[str, ...]]:
    """Securities of one currency that are called the same, however punctuated."""
    name = "".join(filter(str.isalnum, row.name.upper()))
    if len(name) > 5 and family(row.asset_class) == SECURITY:
        yield (row.currency, name)


def _buckets(
    rows: Iterable["Instrument"], keys: Callable[["Instrument"], Iterator[tuple[str, ...]]]
) -> list[list[int]]:
    found: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row in rows:
        for key in keys(row):
            found[key].append(row.pk)
    return [sorted(found[key]) for key in sorted(found) if len(found[key]) > 1]
