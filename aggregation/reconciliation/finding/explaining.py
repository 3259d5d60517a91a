"""The search itself: detectors in their order, until everything is explained."""

from collections.abc import Callable, Iterator

from aggregation.reconciliation.facts import Facts
from aggregation.reconciliation.finding import last, money, rows, units
from aggregation.reconciliation.finding.search import HALF_CENT, Finding, Search

Detector = Callable[[Search], Iterator[Finding]]
# What is certain before what is likely; what speaks of several places before what speaks of one.
DETECTORS: tuple[Detector, ...] = (
    rows.told_by_broker,
    rows.not_counting,
    rows.stale_report,
    rows.unsettled,
    rows.partly_stale,
    rows.transfer_legs,
    units.sweep,
    units.symbol_change,
    units.exercised,
    units.expired,
    units.split,
    units.other_units,
    units.reinvestment,
    rows.doubled,
    rows.lost_twin,
    rows.wrong_sign,
    money.wrong_currency,
    money.exchanges,
    money.fees,
    money.taxes,
    money.dividends,
    money.interest,
    rows.reversal,
    units.spin_off,
    units.merger,
    last.trade,
)
# Each of these speaks of one place and takes all that is left there.
LAST: tuple[Detector, ...] = (last.rounding, last.not_reported, last.history, money.moved, last.unknown)


def explain(facts: Facts) -> list[Finding]:
    """What the differences of the account come from; together the findings explain all of it."""
    search = Search(facts, facts.differences())
    for item in [item for item, left in search.open.items() if item[0] == "cash" and abs(left) < HALF_CENT]:
        del search.open[item]
    for detector in DETECTORS:
        _take(search, detector)
    for one, other in money.pairs(search):
        if all(item in search.open for item in one.amounts):
            search.take(one)
            search.take(other)
    for detector in LAST:
        _take(search, detector)
    return search.findings


def _take(search: Search, detector: Detector) -> None:
    """Take what the detector finds, anew after each: what is explained changes what is left to find."""
    again = True
    while again and search.open:
        again = False
        for found in detector(search):
            if search.explains(found.amounts):
                search.take(found)
                again = True
