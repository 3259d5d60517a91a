"""Interactive Brokers' Flex queries saved as XML: activity (AF) and trade confirmations (TCF)."""

from dataclasses import replace
from typing import ClassVar

from connections.brokers import ibkr_statement
from connections.brokers.base import BrokerError
from connections.brokers.ibkr_statement import Dates, IncompleteQuery, Report, Statement, TooLong
from connections.brokers.records import Broker
from sync.importers import ibkr_flex
from sync.importers.base import AS_PRINTED, Choices, FileNotRead, Match, ParsedFile
from sync.importers.dates import DAY_FIRST
from sync.importers.reader import TOO_MANY_ROWS, FileUnreadable, Source

ROOTS = ("<FlexQueryResponse", "<FlexStatementResponse")
NOT_WHOLE = "The file is damaged: it is not a whole XML document. Download it once more."
NO_STATEMENT = (
    "This is Interactive Brokers' answer to a request, not the statement itself. Run the query again and import the "
    "file it gives when it is ready."
)


class IbkrFlexXml:
    key: ClassVar = "ibkr_flex_xml"
    label: ClassVar = "Interactive Brokers, Flex query (XML)"
    broker: ClassVar = Broker.IBKR
    institution: ClassVar = "Interactive Brokers"

    def detect(self, source: Source) -> Match | None:
        if not (source.is_markup and any(root in source.text[:2000] for root in ROOTS)):
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
