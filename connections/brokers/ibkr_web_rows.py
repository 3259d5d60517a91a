"""What the Web API's portfolio answers mean, in the hub's words. Pure.

Its numbers are JSON numbers or text, whichever comes. Instruments are named as a Flex statement names them, so that
one contract is one instrument whichever way it was read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from connections.brokers.base import UnexpectedReply
from connections.brokers.ibkr_instruments import instrument
from connections.brokers.ibkr_statement import Dates, Odd
from connections.brokers.ibkr_statement import Row as FlexRow
from connections.brokers.parsing import Row, maybe, number
from connections.brokers.records import (
    AccountKind,
    AccountRecord,
    AssetClass,
    BalanceRecord,
    InstrumentRecord,
    PositionRecord,
)

ZERO = Decimal(0)
POSITIONS_PAGE = Decimal(100)
TOTAL = "BASE"  # of the ledger: all currencies together, in the account's own
CLOSED = "C"
NEVER_OPENED = {"A", "R", "P", "N"}  # abandoned, rejected, still being opened
HELD = (  # what a currency's entry in the ledger tells about positions
    "stockmarketvalue", "stockoptionmarketvalue", "futuremarketvalue", "futureoptionmarketvalue",
    "corporatebondsmarketvalue", "tbondsmarketvalue", "tbillsmarketvalue", "warrantsmarketvalue",
    "issueroptionsmarketvalue", "commoditymarketvalue", "funds", "moneyfunds", "cryptocurrencyvalue",
)  # fmt: skip


def accounts(rows: Iterable[Row]) -> list[AccountRecord]:
    """Those that were ever opened, by their number, which is also what a Flex statement calls them."""
    return [_account(row) for row in rows if row["clearingStatus"] not in NEVER_OPENED]


def _account(row: Row) -> AccountRecord:
    account_id = row["accountId"]
    if not isinstance(account_id, str) or not (account_id.isascii() and account_id.isalnum()):
        raise ValueError("an account without a number")  # which becomes part of addresses
    return AccountRecord(
        external_id=account_id,
        number_mask=account_id[-4:],
        name=row.get("accountAlias") or row.get("displayName") or row.get("accountTitle") or "Brokerage",
        kind=AccountKind.UNKNOWN,  # no field here is known to tell cash from margin
        currency=row["currency"],
        closed=row["clearingStatus"] == CLOSED,
    )


def is_advisers(rows: Iterable[Row]) -> bool:
    """Whether these are an adviser's own, whose clients' accounts are told on another page."""
    return any(row.get("faclient") is True or row.get("faClient") is True for row in rows)


# --- Positions --------------------------------------------------------------------------------------------------------


def held(rows: Iterable[Row]) -> list[Row]:
    """Each contract once. What was sold today still stands there with 0, and currencies are told by the ledger."""
    found = {(str(row["conid"]), row.get("model") or ""): row for row in rows}  # pages may overlap
    return [row for row in found.values() if number(row, "position") and row["assetClass"] != "CASH"]


def page_size(rows: Sequence[Row]) -> Decimal:
    """How many positions a full page has: its rows say so, once they are told in full."""
    return (maybe(rows[0], "pageSize") if rows else None) or POSITIONS_PAGE


def is_defined(row: Row) -> bool:
    """Whether the definition of the instrument, which may come late, stands in the row."""
    return bool(row.get("ticker"))


def position(row: Row) -> PositionRecord:
    cost = maybe(row, "avgPrice")  # `avgCost` includes the multiplier
    return PositionRecord(
        instrument=named(row),
        quantity=number(row, "position"),
        average_cost=None if cost is None else abs(cost),
        price=_told(row, "mktPrice"),
        market_value=_told(row, "mktValue"),
        currency=row["currency"],
        raw=row,
    )


def _told(row: Row, name: str) -> Decimal | None:
    """May be null, but must be there."""
    row[name]
    return maybe(row, name)


def named(row: Row) -> InstrumentRecord:
    """The instrument as a Flex row would name it. Raises UnexpectedReply."""
    strike, multiplier = maybe(row, "strike"), maybe(row, "multiplier")
    name, is_option = row["contractDesc"], bool(row.get("putOrCall"))
    told = {
        "assetCategory": row["assetClass"],
        "subCategory": "ETF" if row.get("type") == "ETF" else "",
        "symbol": _osi(name) if is_option else row.get("ticker") or name,
        "description": name if is_option else row.get("name") or "",
        "conid": str(row["conid"]),
        "currency": row["currency"],
        "multiplier": f"{multiplier or ''}",
        "strike": f"{strike or ''}",
        "expiry": row.get("expiry") or "",
        "putCall": row.get("putOrCall") or "",
        "underlyingSymbol": row.get("undSym") or row.get("ticker") or _root(name),
    }
    try:
        return instrument(FlexRow("positions", "position", told, Dates(None)), unknown=AssetClass.OTHER)
    except Odd as odd:
        raise UnexpectedReply(f"Interactive Brokers lists a position the hub does not know: {odd}.") from odd


def _osi(name: str) -> str:
    """`AAPL   JAN2027 296 C [AAPL  270115C00296000 100]` has it in brackets; else the whole name."""
    inside = name.partition("[")[2].partition("]")[0]
    return inside.rpartition(" ")[0] or name


def _root(name: str) -> str:
    return name.split(maxsplit=1)[0]


# --- Money ------------------------------------------------------------------------------------------------------------


def is_incomplete(ledger: Mapping[str, Any], rows: Iterable[Row]) -> bool:
    """Whether the ledger counts the value of positions that are not there."""
    entries = [entry for entry in ledger.values() if isinstance(entry, dict)]
    return not list(rows) and any(maybe(entry, name) for entry in entries for name in HELD)


def balances(
    ledger: Mapping[str, Any], summary: Mapping[str, Any], positions: Iterable[PositionRecord]
) -> Iterator[BalanceRecord]:
    """One per currency: its cash, and the positions in it, which are added up here so that both agree.

    The buying power of the whole account stands with its own currency.
    """
    if TOTAL not in ledger or "netliquidation" not in summary:  # each is always there; empty is no answer
        raise KeyError("totals")
    values: dict[str, Decimal | None] = {}
    for each in positions:
        before = values.get(each.currency, ZERO)
        values[each.currency] = None if before is None or each.market_value is None else before + each.market_value
    of_currencies = (entry for name, entry in ledger.items() if name != TOTAL and isinstance(entry, dict))
    entries = {entry["currency"]: entry for entry in of_currencies}
    power, power_in = _amount(summary, "buyingpower")
    for currency in sorted(entries.keys() | values.keys()):
        entry = entries.get(currency)
        cash = ZERO if entry is None else number(entry, "cashbalance")
        value = values.get(currency, ZERO)
        yield BalanceRecord(
            currency=currency,
            cash=cash,
            settled_cash=ZERO if entry is None else maybe(entry, "settledcash"),
            market_value=value,
            net_asset_value=None if value is None else cash + value,
            buying_power=power if currency == power_in else None,
            margin_used=abs(min(cash, ZERO)),
            accrued_interest=None if entry is None else maybe(entry, "interest"),
            exchange_rate=None if entry is None else maybe(entry, "exchangerate"),
            raw=entry or {},
        )


def _amount(summary: Mapping[str, Any], name: str) -> tuple[Decimal | None, str]:
    """(amount, its currency); unknown when it is null or not told."""
    told = summary.get(name) or {"isNull": True}
    if told.get("isNull") or told.get("isNone"):
        return None, ""
    return number(told, "amount"), told["currency"]
