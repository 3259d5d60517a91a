"""What Robinhood's orders mean in the hub's records. Pure; no request, no database.

Quantities are unsigned with a side. Shares and options become one record per execution, coins one per order: the
server's list of coin orders leaves the executions out. The server's own list of tools has no fees in option orders;
where a row tells them, or the net amount, they are read.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from connections.brokers.records import (
    AssetClass,
    InstrumentRecord,
    ParkedRecord,
    RecordStatus,
    TransactionKind,
    TransactionRecord,
)
from connections.brokers.robinhood_rows import (
    CENT,
    CONTRACT,
    MISSHAPEN,
    ZERO,
    NotUnderstood,
    Row,
    cents,
    coin,
    coin_code,
    maybe,
    number,
    option,
    rows,
    share,
    understood,
)
from connections.brokers.settlement import us_settlement_date

NEW_YORK = ZoneInfo("America/New_York")
SIDES = {"buy": (TransactionKind.BUY, 1), "sell": (TransactionKind.SELL, -1)}
EXECUTED = {
    "filled",
    "partially_filled",
    "cancelled",
    "canceled",
    "pending_cancelled",
    "partially_filled_rest_cancelled",
}
UNDONE = {"voided"}
NOT_EXECUTED = {
    "new",
    "queued",
    "unconfirmed",
    "confirmed",
    "open",
    "pending",
    "rejected",
    "failed",
    "locating",
    "locate_failed",
}

Record = TransactionRecord | ParkedRecord
Records = Iterator[Record]


def read_each(part: str, rows: Iterable[Row], read: Callable[[Row], Iterable[Record]], *, prefix: str = "") -> Records:
    """Records of each row; one no rule understands is parked whole, under the id its records would carry.

    So is a row of another form among others, as those of years ago may be. When no row is of the form we know, it is
    `part` that has changed: raises UnexpectedReply.
    """
    records: list[Record] = []
    known, strange = 0, None
    with understood(part):
        for row in rows:
            try:
                records += read(row)
                known += 1
            except NotUnderstood as odd:
                records.append(ParkedRecord(external_id=f"{prefix}{row['id']}", reason=str(odd), raw=row))
                known += 1
            except MISSHAPEN as error:
                reason = "it came in a form the hub does not know"
                records.append(ParkedRecord(external_id=f"{prefix}{row['id']}", reason=reason, raw=row))
                strange = error
        if strange is not None and not known:
            raise strange
    yield from records


def moment_of(text: str) -> datetime:
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        raise ValueError("a time without a zone")
    return when.astimezone(UTC)


def _by_symbol(order: Row) -> InstrumentRecord:
    return share(order["symbol"])


def shares(orders: Iterable[Row], *, named: Callable[[Row], InstrumentRecord] = _by_symbol) -> Records:
    """`named` tells an order's share where its row does not; it may raise NotUnderstood."""
    return read_each("orders of shares", orders, partial(_share_order, named=named))


def options(orders: Iterable[Row]) -> Records:
    return read_each("orders of options", orders, _option_order)


def coins(orders: Iterable[Row]) -> Records:
    return read_each("orders of coins", orders, _coin_order)


def _status(order: Row, filled: Decimal) -> RecordStatus:
    state = order["state"]
    if state in EXECUTED:
        return RecordStatus.POSTED
    if state in UNDONE:
        return RecordStatus.VOID
    if state not in NOT_EXECUTED:
        raise NotUnderstood(f"unknown state {state!r}")
    if filled:
        raise NotUnderstood(f"executed, although its state is {state!r}")
    return RecordStatus.VOID


def _side(row: Row) -> tuple[TransactionKind, int]:
    """Kind and sign of the quantity."""
    if row["side"] not in SIDES:
        raise NotUnderstood(f"unknown side {row['side']!r}")
    return SIDES[row["side"]]


def _when(row: Row) -> dict[str, Any]:
    """Time and market date of an execution; the broker's own date where it tells one."""
    moment = moment_of(row["timestamp"])
    told = row.get("trade_date") or row.get("trade_execution_date")
    return {
        "occurred_at": moment,
        "traded_on": date.fromisoformat(told) if told else moment.astimezone(NEW_YORK).date(),
    }


def _share_order(order: Row, *, named: Callable[[Row], InstrumentRecord]) -> list[TransactionRecord]:
    filled, executions = number(order["cumulative_quantity"]), rows(order, "executions")
    status = _status(order, filled)
    if sum((number(each["quantity"]) for each in executions), ZERO) != filled:
        raise NotUnderstood("its executions do not add up to what was filled")
    if not executions:
        return []
    kind, sign = _side(order)
    thing, records = named(order), []
    for each, fees in zip(executions, _share_fees(order, executions), strict=True):
        quantity, price = number(each["quantity"]), number(each["price"])
        gross, when, settles = -sign * _notional(each), _when(each), each.get("settlement_date")
        records.append(
            TransactionRecord(
                external_id=f"{order['id']}:{each['id']}",
                kind=kind,
                subtype="reinvest" if order.get("placed_agent") == "drip" else "",
                settled_on=date.fromisoformat(settles)
                if settles
                else us_settlement_date(when["traded_on"], AssetClass.EQUITY),
                instrument=thing,
                quantity=sign * quantity,
                price=price,
                gross_amount=gross,
                fees=fees,
                net_amount=gross - fees,
                currency="USD",
                group_id=order["id"],
                status=status,
                raw=order,
                **when,
            )
        )
    return records


def _notional(execution: Row) -> Decimal:
    """What an execution moved before fees, unsigned: told where shares were bought for dollars, else to the cent."""
    told = maybe(execution, "rounded_notional")
    return cents(number(execution["quantity"]) * number(execution["price"])) if told is None else told


def _share_fees(order: Row, executions: list[Row]) -> list[Decimal]:
    """Of each execution. Orders of years ago told them for the order only."""
    if all("fees" in each for each in executions):
        return [number(each["fees"]) for each in executions]
    return split(number(order["fees"]), [_notional(each) for each in executions])


def _option_order(order: Row) -> list[TransactionRecord]:
    filled = number(order["processed_quantity"])
    status = _status(order, filled)
    multiplier = maybe(order, "trade_value_multiplier") or CONTRACT
    fills = [fill for leg in rows(order, "legs") for fill in _leg_fills(order, leg, filled, multiplier)]
    if not fills:
        return []
    total = sum((fill["gross_amount"] for fill in fills), ZERO)
    premium = maybe(order, "processed_premium")
    if premium is not None and abs(abs(total) - abs(premium)) > CENT * len(fills):
        raise NotUnderstood("its executions do not add up to its premium")
    fees = option_fees(order, total) or ZERO
    if fees < 0:
        raise NotUnderstood("it brought more than its executions")
    shares_of_fees = split(fees, [abs(fill["gross_amount"]) for fill in fills])
    return [
        TransactionRecord(
            fees=fee,
            net_amount=fill["gross_amount"] - fee,
            currency="USD",
            group_id=order["id"],
            status=status,
            raw=order,
            **fill,
        )
        for fill, fee in zip(fills, shares_of_fees, strict=True)
    ]


def _leg_fills(order: Row, leg: Row, filled: Decimal, multiplier: Decimal) -> list[dict[str, Any]]:
    """The executions of one leg. They count contracts of the leg or units of the order: the sum says which."""
    kind, sign = _side(leg)
    ratio, executions = Decimal(leg["ratio_quantity"]), rows(leg, "executions") if "executions" in leg else []
    counted = sum((number(each["quantity"]) for each in executions), ZERO)
    if counted not in (filled, filled * ratio):
        raise NotUnderstood("its executions do not add up to what was filled")
    factor = Decimal(1) if counted == filled * ratio else ratio
    thing = option(order["chain_symbol"], leg, multiplier)
    opening = leg["position_effect"] == "open"
    fills = []
    for each in executions:
        quantity, price, when = factor * number(each["quantity"]), number(each["price"]), _when(each)
        settles = each.get("settlement_date")
        fills.append(
            {
                "external_id": f"{order['id']}:{each['id']}",
                "kind": kind,
                "subtype": ("short" if opening else "") if sign < 0 else ("" if opening else "cover"),
                "settled_on": date.fromisoformat(settles)
                if settles
                else us_settlement_date(when["traded_on"], AssetClass.OPTION),
                "instrument": thing,
                "quantity": sign * quantity,
                "price": price,
                "gross_amount": -sign * cents(quantity * price * multiplier),
                **when,
            }
        )
    return fills


def option_fees(order: Row, total: Decimal) -> Decimal | None:
    """What an option order cost beside `total`, its signed premium; None when the row does not tell."""
    net, direction = maybe(order, "net_amount"), order.get("net_amount_direction")
    if net is not None and direction in ("credit", "debit"):
        return total - (net if direction == "credit" else -net)
    told = [maybe(order, "regulatory_fees"), maybe(order, "contract_fees")]
    return None if told == [None, None] else sum((fee for fee in told if fee is not None), ZERO)


def notes(option_orders: Iterable[Row]) -> tuple[str, ...]:
    """What people should know about the orders just read."""
    silent = sum(1 for order in option_orders if option_fees(order, ZERO) is None and order["state"] in EXECUTED)
    if not silent:
        return ()
    return (f"Robinhood did not tell the fees of {silent} option order{'' if silent == 1 else 's'}.",)


def split(amount: Decimal, weights: list[Decimal]) -> list[Decimal]:
    """`amount` in parts of whole cents by weight, which add up to it; all to the first when nothing weighs anything."""
    whole = sum(weights, ZERO)
    if not whole:
        return [amount, *[ZERO] * (len(weights) - 1)]
    parts, weighed, given = [], ZERO, ZERO
    for weight in weights:
        weighed += weight
        part = (amount if weighed == whole else cents(amount * weighed / whole)) - given
        given += part
        parts.append(part)
    return parts


def _coin_order(order: Row) -> list[TransactionRecord]:
    filled = number(order["cumulative_quantity"])
    status = _status(order, filled)
    if not filled:
        return []
    kind, sign = _side(order)
    price = number(order["average_price"])
    notional = maybe(order, "rounded_executed_notional") or cents(filled * price)
    fees, taxes = _coin_fees(order), maybe(order.get("tax_withholding") or {}, "total_withholding_amount") or ZERO
    gross, told = -sign * notional, maybe(order, "net_rounded_executed_notional")
    executions = rows(order, "executions") if "executions" in order else []
    times = [each["timestamp"] for each in executions] or [order.get("last_transaction_at") or order["updated_at"]]
    return [
        TransactionRecord(
            external_id=order["id"],
            kind=kind,
            instrument=coin(coin_code(order)),
            quantity=sign * filled,
            price=price,
            gross_amount=gross,
            fees=fees,
            taxes=taxes,
            net_amount=gross - fees - taxes if told is None else -sign * told,
            currency="USD",
            status=status,
            raw=order,
            **_when({"timestamp": max(times, key=moment_of)}),
        )
    ]


def _coin_fees(order: Row) -> Decimal:
    """Fees of a coin order: one sum, or a list of them. None at all means that the cost lay within the price."""
    fee = maybe(order, "fee")
    if fee is not None:
        return fee
    fees = order.get("fees") or []
    if not isinstance(fees, list):
        return number(fees)
    return sum((maybe(each.get("fee_data") or {}, "fee_amount") or ZERO for each in fees), ZERO)
