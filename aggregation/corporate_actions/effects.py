"""What a corporate action does to the units an account holds. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

from aggregation.corporate_actions.models import ActionKind, CorporateAction
from aggregation.models import Instrument
from connections.brokers.records import TransactionKind

CENT = Decimal("0.01")
ONE = Decimal(1)
UNIT_STEP = Decimal("1e-18")
SUBTYPES = {ActionKind.SPIN_OFF: "spin_off", ActionKind.MERGER: "merger", ActionKind.RENAME: "issue_change"}


@dataclass(frozen=True, slots=True)
class Move:
    """One row: units (signed) of an instrument, and the cash (signed) that goes with them."""

    instrument: Instrument
    kind: TransactionKind
    units: Decimal
    cash: Decimal = Decimal(0)
    price: Decimal | None = None
    subtype: str = ""


def moves(action: CorporateAction, units: Decimal) -> Iterator[Move]:
    """Of `units` held at the start of the day; negative ones are short, for which everything turns round."""
    kind = ActionKind(action.kind)
    ratio = action.ratio if action.ratio is not None else ONE if kind is ActionKind.RENAME else Decimal(0)
    after = (units * ratio).quantize(UNIT_STEP)
    if kind is ActionKind.SPLIT:
        yield Move(action.instrument, TransactionKind.SPLIT, after - units)
        yield from _fraction(action, action.instrument, after)
        return
    corporate, subtype = TransactionKind.CORPORATE_ACTION, SUBTYPES[kind]
    if kind is not ActionKind.SPIN_OFF:
        cash = (units * (action.cash_per_unit or 0)).quantize(CENT, ROUND_HALF_UP)
        yield Move(action.instrument, corporate, -units, cash, subtype=subtype)
    if action.received is not None and after:
        yield Move(action.received, corporate, after, subtype=subtype)
        yield from _fraction(action, action.received, after)


def _fraction(action: CorporateAction, instrument: Instrument, after: Decimal) -> Iterator[Move]:
    """Cash in lieu is a sale of the fraction."""
    fraction = after - after.to_integral_value(ROUND_DOWN)
    if action.fraction_price is None or not fraction:
        return
    cash = (fraction * action.fraction_price * instrument.multiplier).quantize(CENT, ROUND_HALF_UP)
    kind = TransactionKind.SELL if fraction > 0 else TransactionKind.BUY
    yield Move(instrument, kind, -fraction, cash, action.fraction_price, "cash_in_lieu")
