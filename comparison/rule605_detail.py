"""The detail by Rule 605(a)(1) in its old form: a row for each symbol, kind and size of orders, added up over symbols.

Averages are weighted by the shares they are about. The old form has no quoted spread. For market orders it follows from
the others, because quoted spread = effective spread + 2 x net improvement; for limit orders it stays unknown.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from comparison.report_files import FileRefused, Problem, ReportFile, refuse
from comparison.rule605 import Form, OrderSize, QualityFile, Stat, StatOrder, participant_warning, text_of

MOST_ROWS = 400_000
FIELDS = (
    "designated participant",
    "market centre",
    "month",
    "symbol",
    "order type",
    "order size",
    "covered orders",
    "covered shares",
    "cancelled shares",
    "shares executed here",
    "shares executed elsewhere",
    "shares within 9 s",
    "shares within 29 s",
    "shares within 59 s",
    "shares within 299 s",
    "shares within 30 min",
    "average realized spread",
    "average effective spread",
    "improved shares",
    "average improvement",
    "time of improved shares",
    "shares at the quote",
    "time of shares at the quote",
    "shares outside the quote",
    "average amount outside",
    "time of shares outside the quote",
)
AT = {name: place for place, name in enumerate(FIELDS)}
COUNTS = (*FIELDS[6:16], "improved shares", "shares at the quote", "shares outside the quote")
AVERAGES = tuple(name for name in FIELDS[16:] if name not in COUNTS)
MAY_BE_NEGATIVE = {"average realized spread", "average effective spread"}
ORDERS = dict(zip(("11", "12", "13", "14", "15"), StatOrder, strict=True))
SIZES = {"21", "22", "23", "24"}
PRICED = {StatOrder.MARKET, StatOrder.MARKETABLE_LIMIT}  # others have nothing to say about improvement
_COUNT = re.compile(r"[0-9]{1,15}")
_AVERAGE = re.compile(r"-?(?:[0-9]{1,12}(?:\.[0-9]{0,10})?|\.[0-9]{1,10})")
_CODE = re.compile(r"[A-Z]")
_CENTRE = re.compile(r"[A-Z0-9]{1,10}")
_MONTH = re.compile(r"20[0-9]{2}(?:0[1-9]|1[0-2])")
_SYMBOL = re.compile(r"[A-Z0-9.\-+=/^ $*#!@%a-z]{1,20}")
MILLISECONDS = 1000


@dataclass(slots=True)
class Total:
    """One kind and size of orders over all symbols."""

    symbols: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    sums: dict[str, Decimal] = field(default_factory=dict)  # average times shares
    shares: Counter[str] = field(default_factory=Counter)  # the shares those sums are about

    def add(self, symbol: str, counts: dict[str, int], averages: dict[str, Decimal | None]) -> None:
        self.symbols.add(symbol)
        self.counts.update(counts)
        weights = _weights(counts)
        for name, average in averages.items():
            if average is not None and weights[name]:
                self.sums[name] = self.sums.get(name, Decimal(0)) + average * weights[name]
                self.shares[name] += weights[name]

    def average(self, *names: str) -> Decimal | None:
        """Over several fields together; None when no share has one of them."""
        shares = sum(self.shares[name] for name in names)
        return sum((self.sums.get(name, Decimal(0)) for name in names), Decimal(0)) / shares if shares else None

    def net_improvement(self) -> Decimal | None:
        """USD per share, worse prices counted against better ones."""
        priced = self.counts["improved shares"] + self.counts["shares at the quote"]
        priced += self.counts["shares outside the quote"]
        if not priced:
            return None
        gained = self.sums.get("average improvement", Decimal(0)) - self.sums.get("average amount outside", Decimal(0))
        return gained / priced


def _weights(counts: dict[str, int]) -> dict[str, int]:
    executed = counts["shares executed here"] + counts["shares executed elsewhere"]
    return {
        "average realized spread": executed,
        "average effective spread": executed,
        "average improvement": counts["improved shares"],
        "time of improved shares": counts["improved shares"],
        "time of shares at the quote": counts["shares at the quote"],
        "average amount outside": counts["shares outside the quote"],
        "time of shares outside the quote": counts["shares outside the quote"],
    }


def parse(file: ReportFile) -> QualityFile:
    """Raises FileRefused with the problems of each row."""
    problems: list[Problem] = []
    totals: dict[tuple[StatOrder, OrderSize], Total] = {}
    seen: set[tuple[str, ...]] = set()
    first: tuple[str, ...] = ()
    short = 0
    for line, cells in _rows(file):
        first = first or tuple(cells[:3])
        found = list(_wrong(line, cells, first))
        if not found and (key := tuple(cells[3:6])) in seen:
            found = [Problem(line, "", "the same symbol, kind and size of orders were told before.")]
        if found:
            problems += found
            continue
        seen.add(key)
        counts = {name: int(cells[AT[name]] or 0) for name in COUNTS}
        averages = {name: Decimal(cells[AT[name]]) if cells[AT[name]] else None for name in AVERAGES}
        totals.setdefault((ORDERS[cells[4]], OrderSize(cells[5])), Total()).add(cells[3], counts, averages)
        short += sum(counts[name] for name in FIELDS[11:16]) < _executed(counts)
    refuse(f"{file.name} was not imported: rows do not follow the form of Rule 605(a)(1).", problems)
    if not totals:
        raise FileRefused(f"{file.name} has no rows.")
    warnings = participant_warning(first[0])
    if short:
        warnings.append(f"In {short} rows, shares were executed after more than 30 minutes, which no field counts.")
    month_on = date(int(first[2][:4]), int(first[2][4:]), 1)
    stats = tuple(_stat(order, size, total) for (order, size), total in sorted(totals.items()))
    return QualityFile(Form.DETAIL, first[0], first[1], month_on, stats, tuple(warnings))


def _rows(file: ReportFile) -> Iterator[tuple[int, list[str]]]:
    lines = text_of(file).splitlines()
    if not any("|" in line for line in lines[:5]):
        raise FileRefused(f"{file.name} is neither a Rule 605 summary (CSV) nor a detail file (fields between pipes).")
    if len(lines) > MOST_ROWS:
        raise FileRefused(f"{file.name} has more than {MOST_ROWS:,} rows.")
    for number, line in enumerate(lines, start=1):
        if line.strip():
            cells = [cell.strip() for cell in line.split("|")]
            ends_with_pipe = len(cells) == len(FIELDS) + 1 and not cells[-1]  # as some publishers end each line
            yield number, cells[:-1] if ends_with_pipe else cells


def _executed(counts: dict[str, int]) -> int:
    return counts["shares executed here"] + counts["shares executed elsewhere"]


def _wrong(line: int, cells: list[str], first: tuple[str, ...]) -> Iterator[Problem]:
    if len(cells) != len(FIELDS):
        yield Problem(line, "", f"has {len(cells)} fields instead of {len(FIELDS)}.")
        return
    patterns = (_CODE, _CENTRE, _MONTH, _SYMBOL)
    before = len(first)
    for pattern, name in zip(patterns, FIELDS, strict=False):
        cell = cells[AT[name]]
        if not pattern.fullmatch(cell):
            yield Problem(line, name, f"{cell[:30]!r} is none.")
        elif AT[name] < before and cell != first[AT[name]]:
            yield Problem(line, name, f"{cell} stands among rows of {first[AT[name]]}; a file is one reporter's month.")
    if cells[4] not in ORDERS:
        yield Problem(line, "order type", f"{cells[4][:30]!r} is none of 11 to 15.")
    if cells[5] not in SIZES:
        yield Problem(line, "order size", f"{cells[5][:30]!r} is none of 21 to 24.")
    wrong_numbers = list(_wrong_numbers(line, cells))
    yield from wrong_numbers or _wrong_sums(line, {name: int(cells[AT[name]] or 0) for name in COUNTS})


def _wrong_numbers(line: int, cells: Sequence[str]) -> Iterator[Problem]:
    for name in (*COUNTS, *AVERAGES):
        cell = cells[AT[name]]
        pattern, what = (_COUNT, "a whole number") if name in COUNTS else (_AVERAGE, "a number")
        if cell and not pattern.fullmatch(cell):
            yield Problem(line, name, f"{cell[:30]!r} is not {what}.")
        elif cell.startswith("-") and name not in MAY_BE_NEGATIVE:
            yield Problem(line, name, f"{cell} is negative.")


def _wrong_sums(line: int, counts: dict[str, int]) -> Iterator[Problem]:
    """Parts that are more than their whole. Less may be right: orders stay open, shares execute late."""
    executed = _executed(counts)
    if counts["cancelled shares"] + executed > counts["covered shares"]:
        yield Problem(line, "covered shares", "fewer than were cancelled and executed.")
    if sum(counts[name] for name in FIELDS[11:16]) > executed:
        yield Problem(line, "shares executed here", "fewer were executed than the time classes add up to.")
    priced = ("improved shares", "shares at the quote", "shares outside the quote")
    if sum(counts[name] for name in priced) > executed:
        yield Problem(line, "improved shares", "more shares improved, at and outside the quote than were executed.")


def _stat(order: StatOrder, size: OrderSize, total: Total) -> Stat:
    counts = total.counts
    executed, covered = _executed(dict(counts)), counts["covered shares"]
    spread = total.average("average effective spread")
    net = total.net_improvement() if order in PRICED else None
    ratio = None
    if order is StatOrder.MARKET and spread is not None and net is not None and spread + 2 * net > 0:
        ratio = spread / (spread + 2 * net)
    at_or_better = counts["improved shares"] + counts["shares at the quote"]
    speed = total.average("time of improved shares", "time of shares at the quote", "time of shares outside the quote")
    return Stat(
        is_sp500=None,
        order=order,
        size=size,
        figures={
            "symbols": len(total.symbols),
            "orders": counts["covered orders"],
            "covered_shares": covered,
            "executed_shares": executed,
            "average_shares": Decimal(covered) / counts["covered orders"] if counts["covered orders"] else None,
            "at_or_better": Decimal(at_or_better) / executed if executed and order in PRICED else None,
            "improved": Decimal(counts["improved shares"]) / executed if executed and order in PRICED else None,
            "net_improvement_usd": net,
            "effective_spread_usd": spread,
            "effective_over_quoted": ratio,
            "realized_usd": total.average("average realized spread"),
            "speed_ms": None if speed is None else speed * MILLISECONDS,
        },
    )
