"""Fees by law or handed on: the rate of the trade date, filtered by what a plan passes on, rounded its way."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from comparison import rounding
from comparison.fee_models import MILLION
from comparison.terms import OPTIONS, SHARES, ZERO, Asset, CostLine, DatedRate, Event, PassThrough, PlanTerms, Rates

BY_VENUE, ESTIMATE = "orf_venue", "orf_estimate"  # which venue a contract goes to is not known before the trade


@dataclass(frozen=True, slots=True)
class Levy:
    """One fee, ready to be charged on events of one asset, side and day. `row` None: no rate is known for the day."""

    how: PassThrough
    row: DatedRate | None
    day: date
    words: str
    fixed: CostLine | None = None  # the line itself, where it is the same for every trade of the day

    def __call__(self, event: Event) -> CostLine:
        if self.fixed is not None:
            return self.fixed
        how, row = self.how, self.row
        if how.rate is not None:
            return self._line(event, event.quantity * how.rate, how.rate)
        assert row is not None
        if row.low is not None and row.high is not None:
            steps = ("{0} x {1} to {2}", event.quantity, row.low, row.high)
            low, high = event.quantity * row.low, event.quantity * row.high
            return CostLine(how.fee, low, high, row.rule, steps, why="depends on the venue")
        rate = row.rate
        assert rate is not None
        if how.waived and self._is_waived(event):
            return CostLine(how.fee, ZERO, ZERO, row.rule, why="waived for a trade this small")
        if row.model == "per_million_notional":
            return self._line(event, event.amount * rate / MILLION, rate)
        amount = event.quantity * rate
        return self._line(event, amount if row.maximum is None or amount <= row.maximum else row.maximum, rate)

    def _is_waived(self, event: Event) -> bool:
        waived = self.how.waived
        few = waived.get("shares_max")
        small = waived.get("stock_sale_max")
        return (few is not None and event.quantity <= few) or (
            small is not None and event.asset in SHARES and event.amount <= small
        )

    def _line(self, event: Event, amount: Decimal, rate: Decimal) -> CostLine:
        how = self.how
        rule = self.row.rule if self.row is not None and how.rate is None else how.rule
        steps: tuple[Any, ...]
        if self.row is not None and self.row.model == "per_million_notional" and how.rate is None:
            steps = ("{0} x {1} / 1,000,000 = {2}", event.amount, rate, amount)
        elif amount != event.quantity * rate:
            steps = ("{0} x {1}, cap {2}", event.quantity, rate, amount)
        else:
            steps = ("{0} x {1} = {2}", event.quantity, rate, amount)
        if how.is_daily:
            return CostLine(how.fee, amount, amount, rule, steps, why="rounded up once a day", daily=how.fee)
        charged = rounding.rounded(how, amount)
        return CostLine(how.fee, charged, charged, rule, steps, why=self.words)


def levies(plan: PlanTerms, rates: Rates, asset: Asset, side: str, day: date) -> tuple[Levy, ...]:
    """Every fee `plan` passes on for such a trade on `day`, unknown rates included."""
    found = []
    for how in plan.passes:
        if how.rate is not None:
            if asset in OPTIONS:
                found.append(Levy(how, None, day, rounding.words(how)))
            continue
        fee = ESTIMATE if how.fee == BY_VENUE else how.fee
        if any(asset.value in row.assets and row.side in ("both", side) for row in rates.regulatory.get(fee, ())):
            row = rates.on(fee, day)
            found.append(Levy(how, row, day, rounding.words(how), _fixed(how, row, day)))
    return tuple(found)


def _fixed(how: PassThrough, row: DatedRate | None, day: date) -> CostLine | None:
    if row is None:
        return CostLine(how.fee, None, None, how.rule, why=f"no rate is known for {day.isoformat()}")
    if row.rate is not None and not row.rate:
        return CostLine(how.fee, ZERO, ZERO, row.rule, why=f"the rate was 0 on {day.isoformat()}")
    return None
