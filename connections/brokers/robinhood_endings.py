"""What became of options at their end, as Robinhood's app tells it: expired, assigned, exercised. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

from connections.brokers.records import (
    AssetClass,
    InstrumentRecord,
    ParkedRecord,
    RecordStatus,
    TransactionKind,
    TransactionRecord,
)
from connections.brokers.robinhood_cash import tail
from connections.brokers.robinhood_orders import SIDES, Records, moment_of, read_each
from connections.brokers.robinhood_rows import CENT, ZERO, NotUnderstood, Row, maybe, number, rows, share
from connections.brokers.settlement import us_settlement_date

EXPIRATION = "expiration"
KINDS = {
    EXPIRATION: TransactionKind.OPTION_EXPIRATION,
    "assignment": TransactionKind.OPTION_ASSIGNMENT,
    "exercise": TransactionKind.OPTION_EXERCISE,
}
STATES = {
    "confirmed": RecordStatus.POSTED,
    "preparing": RecordStatus.PENDING,
    "queued": RecordStatus.PENDING,
    "pending": RecordStatus.PENDING,
    "voided": RecordStatus.VOID,
}
Contract = Callable[[str], InstrumentRecord]  # the option with this id; raises NotUnderstood


def traded(records: Iterable[TransactionRecord | ParkedRecord]) -> dict[str, Decimal]:
    """What all orders of a person came to, by symbol of the option: more bought than sold is positive.

    Where an order over a share's options is not understood, nothing is said of any of them.
    """
    net: defaultdict[InstrumentRecord, Decimal] = defaultdict(Decimal)
    unsure = set()
    for record in records:
        if isinstance(record, ParkedRecord):
            unsure.add(record.raw.get("chain_symbol"))
        elif record.status is RecordStatus.POSTED and record.instrument:
            net[record.instrument] += record.quantity or ZERO
    return {thing.symbol: quantity for thing, quantity in net.items() if thing.underlying not in unsure}


def option_id(row: Row) -> str:
    return str(row.get("option_id") or tail(row["option"]))


def endings(events: Iterable[Row], contract: Contract, net: Mapping[str, Decimal]) -> Records:
    """`net` is what `traded` gives for **all** orders: an event does not say whether the option was held or owed."""
    return read_each("ends of options", events, partial(_ending, contract=contract, net=net), prefix="optevent:")


def _ending(event: Row, *, contract: Contract, net: Mapping[str, Decimal]) -> list[TransactionRecord]:
    """The option goes at price 0; what it brought moves with the shares, or with the option where there are none."""
    kind, state = event["type"], event["state"]
    if kind not in KINDS or state not in STATES:
        raise NotUnderstood(f"unknown type {kind!r} or state {state!r}")
    thing = contract(option_id(event))
    shares = rows(event, "equity_components") if "equity_components" in event else []
    cash = maybe(event, "total_cash_amount") or ZERO
    if cash and event["direction"] not in ("credit", "debit"):
        raise NotUnderstood(f"unknown direction {event['direction']!r}")
    if cash and event["direction"] == "debit":
        cash = -cash
    record = partial(
        TransactionRecord,
        traded_on=date.fromisoformat(event["event_date"]),
        occurred_at=moment_of(event["created_at"]),
        currency="USD",
        group_id=event["id"],
        status=STATES[state],
        raw=event,
    )
    moved = [_delivery(event, component, record) for component in shares]
    if moved and abs(sum((each.net_amount for each in moved), ZERO) - cash) > CENT * len(moved):
        raise NotUnderstood("the shares it moved do not add up to its cash")
    own = ZERO if moved else cash
    gone = record(
        external_id=f"optevent:{event['id']}",
        kind=KINDS[kind],
        instrument=thing,
        quantity=_sign(kind, thing, net) * abs(number(event["quantity"])),
        price=ZERO,
        gross_amount=own,
        net_amount=own,
    )
    return [gone, *moved]


def _sign(kind: str, thing: InstrumentRecord, net: Mapping[str, Decimal]) -> int:
    """Of the quantity that ends: what was held goes (-), what was owed is owed no more (+)."""
    if kind != EXPIRATION:
        return 1 if kind == "assignment" else -1
    held = net.get(thing.symbol)
    if not held:
        raise NotUnderstood("no order says whether this option was held or owed")
    return -1 if held > 0 else 1


def _delivery(event: Row, component: Row, record: Callable[..., Any]) -> Any:
    if component["side"] not in SIDES:
        raise NotUnderstood(f"unknown side {component['side']!r}")
    kind, sign = SIDES[component["side"]]
    quantity, price = number(component["quantity"]), number(component["price"])
    cash = -sign * quantity * price
    return record(
        external_id=f"optevent:{event['id']}:{component['id']}",
        kind=kind,
        subtype=event["type"],
        settled_on=us_settlement_date(date.fromisoformat(event["event_date"]), AssetClass.EQUITY),
        instrument=share(component["symbol"]),
        quantity=sign * quantity,
        price=price,
        gross_amount=cash,
        net_amount=cash,
    )
