"""Interactive Brokers' Flex queries saved as XML: activity (AF) and trade confirmations (TCF)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from connections.brokers import ibkr_rows, ibkr_statement
from connections.brokers.base import BrokerError
from connections.brokers.ibkr_statement import Dates, IncompleteQuery, Report, Statement, TooLong
from connections.brokers.records import Broker, TransactionKind
from sync.importers import ibkr_flex
from sync.importers.base import AS_PRINTED, Choices, FileNotRead, Format, Match, ParsedFile
from sync.importers.dates import DAY_FIRST
from sync.importers.reader import TOO_MANY_ROWS, FileUnreadable, Source

# Where a row says what; of several attributes the first filled one counts.
TOLD = {
    "date": ("tradeDate", "dateTime", "date", "reportDate", "settleDate"),
    "settled": ("settleDateTarget", "settleDate"),
    "symbol": ("symbol", "isin"),
    "isin": ("isin",),
    "cusip": ("cusip",),
    "name": ("description",),
    "quantity": ("quantity",),
    "price": ("tradePrice", "price"),
    "fees": ("ibCommission", "commission"),
    "taxes": ("taxes", "tax"),
    "amount": ("netCash", "cashTransfer", "amount", "proceeds"),
    "currency": ("currency",),
    "id": ("transactionID", "ibExecID"),
}
ROOTS = ("<FlexQueryResponse", "<FlexStatementResponse")
NOT_WHOLE = "The file is damaged: it is not a whole XML document. Download it once more."
NO_STATEMENT = (
    "This is Interactive Brokers' answer to a request, not the statement itself. Run the query again and import the "
    "file it gives when it is ready."
)


class IbkrFlexXml(Format):
    key: ClassVar = "ibkr_flex_xml"
    label: ClassVar = "Interactive Brokers, Flex query (XML)"
    broker: ClassVar = Broker.IBKR
    institution: ClassVar = "Interactive Brokers"

    def detect(self, source: Source) -> Match | None:
        if not (source.is_markup and any(root in source.beginning[:2000] for root in ROOTS)):
            return None
        return Match(score=100, reason="It is the XML of a Flex query.")

    def parse(self, source: Source, choices: Choices = AS_PRINTED) -> ParsedFile:
        report = _report(source.text, Dates(choices.date_order == DAY_FIRST) if choices.date_order else None)
        cells = (
            value
            for statement in report.statements
            for rows in statement.sections.values()
            for row in rows
            for value in row.told.values()
        )
        dates, questions = ibkr_flex.ordered(cells, choices)
        return ibkr_flex.read((_statement(one, dates) for one in report.statements), questions)

    def told(self, raw: Mapping[str, Any]) -> dict[str, str]:
        """For the table of rejected rows: see `handed_back.Telling`. Charges are printed as money that leaves."""
        said = {field: next((f"{raw[name]}" for name in names if raw.get(name)), "") for field, names in TOLD.items()}
        charges = {field: said[field].removeprefix("-") for field in ("fees", "taxes")}
        return {**said, **charges, "word": _kind(raw, said["amount"])}


def _kind(raw: Mapping[str, Any], amount: str) -> str:
    """What a row says it is, where its words do; "" where the person has to say it."""
    word = raw.get("type", "")
    if raw.get("buySell") in ibkr_rows.SIDES:
        return ibkr_rows.SIDES[raw["buySell"]]
    if word in ibkr_rows.MONEY_MOVES:
        return TransactionKind.WITHDRAWAL if amount.startswith("-") else TransactionKind.DEPOSIT
    kind, _subtype = ibkr_rows.CASH.get(word) or ibkr_rows.ACTIONS.get(word) or ("", "")
    return kind


def _report(text: str, dates: Dates | None) -> Report:
    """Raises FileNotRead or FileUnreadable."""
    try:
        report = ibkr_statement.read(text, dates)
    except TooLong as error:
        raise FileUnreadable(TOO_MANY_ROWS) from error
    except ValueError as error:
        raise FileUnreadable(NOT_WHOLE) from error
    except IncompleteQuery:  # its days read two ways, which the person is asked about
        return _report(text, Dates(day_first=False))
    except BrokerError as error:
        raise FileNotRead(str(error)) from error
    if not isinstance(report, Report):
        raise FileNotRead(NO_STATEMENT)
    return report


def _statement(statement: Statement, dates: Dates) -> Statement:
    sections = {name: tuple(replace(row, dates=dates) for row in rows) for name, rows in statement.sections.items()}
    return replace(statement, sections=sections)
