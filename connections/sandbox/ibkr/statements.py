"""The document a Flex query gives: sections of rows, one statement per account, as XML."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from xml.etree import ElementTree as ET  # nosec B405  # names for types and building; defusedxml parses

from connections.sandbox.book import Account
from connections.sandbox.faults import Fault, distort
from connections.sandbox.ibkr import cash_rows, totals, trade_rows
from connections.sandbox.ibkr.flex_tokens import Query
from connections.sandbox.ibkr.sheet import Row, Sheet, day, instant
from connections.sandbox.people import Person
from connections.sandbox.world import WORLD

COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:;(\d\d)(\d\d)(\d\d))?")
DATED = {
    "reportDate",
    "tradeDate",
    "dateTime",
    "settleDateTarget",
    "settleDate",
    "date",
    "expiry",
    "fromDate",
    "toDate",
}
Tagged = list[tuple[str, Row]]
TAG = "<tag>"  # faults change rows without knowing of tags, which ride along under a name no attribute has
OWN_PERIOD = timedelta(days=364)  # the last 365 days


def _rows(tag: str, made: Callable[[Sheet], list[Row]]) -> Callable[[Sheet, Query], Tagged]:
    return lambda sheet, query: [(tag, row) for row in made(sheet)]


def _trades(sheet: Sheet, query: Query) -> Tagged:
    rows = trade_rows.executions(sheet)
    told: Tagged = [("Trade", row) for row in rows]
    return told + list(trade_rows.summaries(rows)) if query.summaries else told


def _cash(sheet: Sheet, query: Query) -> Tagged:
    rows = cash_rows.transactions(sheet)
    return [("CashTransaction", row) for row in rows + (cash_rows.summaries(rows) if query.summaries else [])]


def _positions(sheet: Sheet, query: Query) -> Tagged:
    return [("OpenPosition", row) for row in totals.open_positions(sheet, lots=query.summaries)]


BUILDERS: dict[str, Callable[[Sheet, Query], Tagged]] = {
    "EquitySummaryInBase": _rows("EquitySummaryByReportDateInBase", totals.daily_equity),
    "CashReport": _rows("CashReportCurrency", totals.cash_report),
    "OpenPositions": _positions,
    "Trades": _trades,
    "CashTransactions": _cash,
    "Transfers": _rows("Transfer", cash_rows.transfers),
    "CorporateActions": _rows("CorporateAction", cash_rows.corporate_actions),
    "OptionEAE": _rows("OptionEAE", trade_rows.option_events),
    "ConversionRates": _rows("ConversionRate", totals.conversion_rates),
}


def opened_on(person: Person) -> date:
    """The day the person's first account here was opened."""
    return min(account.events[0].traded_on for account in person.at("ibkr") if account.events)


def document(person: Person, query: Query, first: date | None, last: date, period: str, faults: list[Fault]) -> bytes:
    """A window that begins before an account was opened begins with the account."""
    root = ET.Element("FlexQueryResponse", queryName=query.name, type="AF")
    accounts = [account for account in person.at("ibkr") if account.events]
    statements = ET.SubElement(root, "FlexStatements", count=str(len(accounts)))
    for account in accounts:
        opened = account.events[0].traded_on
        sheet = Sheet(account, WORLD.market, max(first or last - OWN_PERIOD, opened), last)
        statement = ET.SubElement(
            statements, "FlexStatement", accountId=account.number, fromDate=day(sheet.first), toDate=day(last),
            period=period, whenGenerated=instant(WORLD.clock.now()),
        )  # fmt: skip
        for section in query.sections:
            _section(statement, section, sheet, query, faults)
    body: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return body


def _section(statement: ET.Element, section: str, sheet: Sheet, query: Query, faults: list[Fault]) -> None:
    if section == "AccountInformation":
        ET.SubElement(statement, section, _information(sheet.account))
        return
    element = ET.SubElement(statement, section)
    rows = [{TAG: tag, **row} for tag, row in BUILDERS[section](sheet, query)]
    for row in distort(rows, faults):
        ticked = {name: str(value) for name, value in row.items() if name not in (TAG, *query.without)}
        if query.dashes:
            ticked |= {name: _with_dashes(ticked[name]) for name in DATED & set(ticked)}
        ET.SubElement(element, row[TAG], ticked)


def _with_dashes(text: str) -> str:
    """`20261121;093100` as `2026-11-21,09:31:00`; what is no date stays."""
    if not (found := COMPACT.fullmatch(text)):
        return text
    year, month, day_of_month, hour, minute, second = found.groups()
    return f"{year}-{month}-{day_of_month}" + (f",{hour}:{minute}:{second}" if hour else "")


def _information(account: Account) -> Row:
    return {
        "accountId": account.number,
        "acctAlias": "",
        "model": "",
        "currency": account.currency,
        "name": account.name,
        "accountType": "Individual",
        "customerType": "Individual",
        "accountCapabilities": "Margin" if account.margin else "Cash",
        "dateOpened": day(account.events[0].traded_on),
        "dateFunded": day(account.events[0].traded_on),
        "dateClosed": day(WORLD.clock.today()) if account.is_closed else "",
        "ibEntity": "IB-IE",
    }
