"""What the rows of Robinhood's Crypto Trading API mean, version 2. Pure; no request, no database.

Numbers come as text, or as JSON numbers by the published specification: both are read. Source: Robinhood's own OpenAPI
document of that API.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from connections.brokers.records import (
    AccountKind,
    AccountRecord,
    BalanceRecord,
    ParkedRecord,
    PositionRecord,
    RecordStatus,
    TransactionKind,
    TransactionRecord,
)
from connections.brokers.robinhood_rows import (
    ZERO,
    NotUnderstood,
    Row,
    cents,
    coin,
    identifier,
    maybe,
    nullable,
    number,
    rows,
    spellings,
)

NEW_YORK = ZoneInfo("America/New_York")
SIDES = {"buy": (TransactionKind.BUY, 1), "sell": (TransactionKind.SELL, -1)}
EXECUTED = {"filled", "partially_filled", "canceled", "open", "pending"}  # the last three may have been filled in part
FILLED = {"filled", "partially_filled"}
NOT_EXECUTED = {"failed"}
PRICE = Decimal("1E-10")  # average over the executions, as exact as the books are


def account(row: Row) -> AccountRecord:
    """One of the accounts. `deactivated` and `sell_only` still hold coins, so neither says that it is closed."""
    own = identifier(row["account_number"])
    return AccountRecord(
        external_id=own,
        number_mask=own[-4:],
        name="Crypto",
        kind=AccountKind.UNKNOWN,
        currency="USD",
        aliases=tuple(sorted(spellings(own) - {own})),
    )


def balance(row: Row, positions: Iterable[PositionRecord]) -> BalanceRecord:
    """The key opens the coins alone, so what they are worth is what this account holds. What one can buy for is told
    as well, but dollars are kept with the brokerage account, and how many is not said."""
    values = [position.market_value for position in positions]
    known = [value for value in values if value is not None]
    worth = sum(known, ZERO) if len(known) == len(values) else None
    return BalanceRecord(
        currency=row.get("buying_power_currency") or "USD",
        cash=None,
        net_asset_value=worth,
        market_value=worth,
        buying_power=maybe(row, "buying_power"),
        raw=row,
    )


def of_account(found: Iterable[Row], account_id: str) -> list[Row]:
    """The rows, which have to be this account's: a filter that the server did not know would bring all of them."""
    told = list(found)
    if any(identifier(row["account_number"]) != account_id for row in told):
        raise ValueError("rows of another account")
    return told


def codes(holdings: Iterable[Row]) -> dict[str, Row]:
    """Coins held, by their code; a coin told twice is one."""
    return {row["asset_code"]: row for row in holdings if number(row["total_quantity"])}


def position(row: Row, prices: Mapping[str, Decimal]) -> PositionRecord:
    """What was paid is not told."""
    code, quantity = row["asset_code"], number(row["total_quantity"])
    price = prices.get(code)
    return PositionRecord(
        instrument=coin(code),
        quantity=quantity,
        average_cost=None,
        price=price,
        market_value=None if price is None else cents(quantity * price),
        currency="USD",
        raw=row,
    )


def prices(quotes: Iterable[Row]) -> dict[str, Decimal]:
    """By code of the coin: the middle of bid and ask, as version 1 gives it. Where a side is missing nobody quotes."""
    found = {}
    for row in quotes:
        bid, ask = nullable(row["bid"]), nullable(row["ask"])
        if bid and ask:
            found[row["symbol"].removesuffix("-USD")] = (bid + ask) / 2
    return found


# --- Orders -----------------------------------------------------------------------------------------------------------


def orders(found: Iterable[Row]) -> Iterator[TransactionRecord | ParkedRecord]:
    """One record per order, as executions have no id; an order that no rule understands is parked whole."""
    for row in found:
        try:
            record = _order(row)
        except NotUnderstood as odd:
            yield ParkedRecord(external_id=_external_id(row), reason=str(odd), raw=row)
        else:
            if record is not None:
                yield record


def _external_id(row: Row) -> str:
    return f"cryptoapi:{row['id']}"


def _order(row: Row) -> TransactionRecord | None:
    """None for an order of which nothing was executed. One that is still open tells more of itself later."""
    state, filled = row["state"], maybe(row, "filled_asset_quantity") or ZERO
    if state not in EXECUTED | NOT_EXECUTED:
        raise NotUnderstood(f"unknown state {state!r}")
    if state in FILLED and not filled:
        raise NotUnderstood("how much was executed is not told")
    if not filled:
        return None
    if state in NOT_EXECUTED:
        raise NotUnderstood(f"executed, although its state is {state!r}")
    if row["side"] not in SIDES:
        raise NotUnderstood(f"unknown side {row['side']!r}")
    kind, sign = SIDES[row["side"]]
    executions = rows(row, "executions")
    if sum((number(each["quantity"]) for each in executions), ZERO) != filled:
        raise NotUnderstood("its executions do not add up to what was filled")
    code, _, currency = row["symbol"].partition("-")
    moved = sum((number(each["quantity"]) * number(each["effective_price"]) for each in executions), ZERO)
    gross, fees = -sign * cents(moved), maybe(row, "fee_charged") or ZERO  # without fee tiers it lay within the price
    when = max(_moment(each["timestamp"]) for each in executions)
    return TransactionRecord(
        external_id=_external_id(row),
        kind=kind,
        traded_on=when.astimezone(NEW_YORK).date(),
        occurred_at=when,
        instrument=coin(code),
        quantity=sign * filled,
        price=(moved / filled).quantize(PRICE),
        gross_amount=gross,
        fees=fees,
        net_amount=gross - fees,
        currency=currency or "USD",
        status=RecordStatus.POSTED,
        raw=row,
    )


def _moment(text: str) -> datetime:
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        raise ValueError("a time without a zone")
    return when.astimezone(UTC)
