"""Accounts of a Flex statement, and what they held when it ended. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from connections.brokers.ibkr_instruments import instrument
from connections.brokers.ibkr_statement import NEW_YORK, IncompleteQuery, Odd, Row, Statement, lacking
from connections.brokers.records import (
    AccountKind,
    AccountRecord,
    AssetClass,
    BalanceRecord,
    Holdings,
    PositionRecord,
    ValueRecord,
)

ZERO = Decimal(0)
LONGEST_HOLIDAY = timedelta(days=5)


def holdings(statement: Statement) -> Holdings:
    """What the account held at the end of the statement's last day. Raises IncompleteQuery, or Odd for an odd row."""
    positions = tuple(_position(row) for row in _lots_left_out(statement))
    return Holdings(
        as_of=datetime.combine(statement.last, time(23, 59, 59), NEW_YORK),
        positions=positions,
        balances=tuple(_valued(statement, list(_balances(statement, positions)))),
        past=tuple(_past(statement)),
    )


def _past(statement: Statement) -> Iterator[ValueRecord]:
    """The account's value on each day of the statement, in its own currency, where the query includes it."""
    currency = statement.info.maybe("currency") if statement.info else ""
    if not currency:
        return
    told: dict[date, Decimal] = {}
    for row in statement.sections.get("EquitySummaryInBase", ()):
        total = row.maybe_number("total")
        if row.maybe("reportDate") and total is not None:
            told[row.dates.day(row.maybe("reportDate"))] = total
    for on in sorted(told):
        yield ValueRecord(on=on, net_asset_value=told[on], currency=currency)


def _lots_left_out(statement: Statement) -> list[Row]:
    rows = statement.rows("OpenPositions")
    found = [row for row in rows if row.told.get("levelOfDetail") in {None, "SUMMARY"} and row.maybe("accountId")]
    if rows and not found:
        raise IncompleteQuery("Your Flex query lists positions by lot. Choose Summary in its section Open Positions.")
    return list({frozenset(row.told.items()): row for row in found}.values())  # a row told twice is one position


def _position(row: Row) -> PositionRecord:
    cost = _optional(row, "costBasisPrice")
    return PositionRecord(
        instrument=instrument(row, unknown=AssetClass.OTHER),  # its value counts, whatever it is
        quantity=row.number("position"),
        average_cost=None if cost is None else abs(cost),
        price=_optional(row, "markPrice"),
        market_value=_optional(row, "positionValue"),
        currency=row.text("currency"),
        raw=row.told,
    )


def _optional(row: Row, name: str) -> Decimal | None:
    """May be empty, but the query must ask for it."""
    row.text(name)
    return row.maybe_number(name)


def _balances(statement: Statement, positions: Iterable[PositionRecord]) -> Iterator[BalanceRecord]:
    """One per currency: cash and the positions in it. A currency the cash report leaves out has no cash."""
    rows = [row for row in statement.rows("CashReport") if row.maybe("accountId")]
    by_currency = {row.text("currency"): row for row in rows if row.text("currency") != "BASE_SUMMARY"}
    held: dict[str, Decimal | None] = {}
    for position in positions:
        before, value = held.get(position.currency, ZERO), position.market_value
        held[position.currency] = None if before is None or value is None else before + value
    if not rows:  # an account without any money has its line of zeros there
        raise Odd("the cash report is empty")
    if not by_currency:
        raise IncompleteQuery("Your Flex query gives cash in total only. Tick Currency Breakout in its Cash Report.")
    rates = dict(_rates(statement))
    for currency in sorted(by_currency.keys() | held.keys()):
        row = by_currency.get(currency)
        cash = ZERO if row is None else _optional(row, "endingCash")
        value = held.get(currency, ZERO)
        yield BalanceRecord(
            currency=currency,
            cash=cash,
            settled_cash=ZERO if row is None else row.maybe_number("endingSettledCash"),
            market_value=value,
            net_asset_value=None if cash is None or value is None else cash + value,
            exchange_rate=rates.get(currency),
            raw={} if row is None else row.told,
        )


def _rates(statement: Statement) -> Iterator[tuple[str, Decimal]]:
    """By currency, what one of it is worth in the account's own, as its positions tell; the query may leave it out."""
    for row in _lots_left_out(statement):
        rate = row.maybe_number("fxRateToBase")
        if rate:
            yield row.text("currency"), rate


def _valued(statement: Statement, balances: list[BalanceRecord]) -> list[BalanceRecord]:
    """With the account's whole value, where the parts do not tell it and it cannot be but in the one currency."""
    total = _equity(statement)
    base = statement.info.maybe("currency") if statement.info else ""
    if len(balances) == 1 and balances[0].net_asset_value is None and balances[0].currency == base:
        return [replace(balances[0], net_asset_value=total)]
    return balances


def _equity(statement: Statement) -> Decimal | None:
    """The whole value in the account's currency at the end, by the summary of each day; None when it is not told."""
    rows = [row for row in statement.sections.get("EquitySummaryInBase", ()) if row.maybe("reportDate")]
    by_day = {row.dates.day(row.maybe("reportDate")): row.maybe_number("total") for row in rows}
    last = max(by_day, default=date.min)  # a statement may end on a holiday
    return by_day[last] if last > statement.last - LONGEST_HOLIDAY else None


def account(statement: Statement) -> AccountRecord:
    """Raises IncompleteQuery when the query does not tell the account's own currency."""
    if statement.info is None:
        raise lacking("AccountInformation")
    info = statement.info
    kinds = {"Cash": AccountKind.CASH, "Margin": AccountKind.MARGIN, "Portfolio Margin": AccountKind.MARGIN}
    return AccountRecord(
        external_id=statement.account_id,
        number_mask=statement.account_id[-4:],
        name=info.maybe("acctAlias") or info.maybe("name") or "Brokerage",
        kind=kinds.get(info.maybe("accountCapabilities"), AccountKind.UNKNOWN),
        currency=info.text("currency"),
        closed=bool(info.maybe("dateClosed")),
    )


def opened_on(statement: Statement) -> date | None:
    text = statement.info.maybe("dateOpened") if statement.info else ""
    return statement.info.dates.day(text) if statement.info and text else None
