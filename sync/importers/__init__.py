"""The registry of file formats, and how a file finds its format."""

from sync.importers.avanza import Avanza
from sync.importers.base import FileNotRead, Format, Lookalike, Match
from sync.importers.coinbase import Coinbase
from sync.importers.degiro import Degiro
from sync.importers.etrade import ETradeActivity, ETradeTransactions
from sync.importers.fidelity import Fidelity
from sync.importers.freetrade import Freetrade
from sync.importers.generic import FrenchBroker, Ghostfolio, Wealthfolio
from sync.importers.handed_back import HandedBack
from sync.importers.ibkr_activity import IbkrActivity
from sync.importers.ibkr_flex_csv import IbkrFlexCsv
from sync.importers.ibkr_flex_xml import IbkrFlexXml
from sync.importers.ibkr_history import IbkrHistory
from sync.importers.ofx import OFX
from sync.importers.reader import FileUnreadable, Source
from sync.importers.revolut import RevolutInvest
from sync.importers.robinhood import Robinhood, RobinhoodBefore2019
from sync.importers.saxo import Saxo
from sync.importers.schwab_brokerage import SchwabBrokerage
from sync.importers.schwab_other import SchwabChecking, SchwabEquityAwards
from sync.importers.swissquote import Swissquote
from sync.importers.traderepublic import TradeRepublic
from sync.importers.trading212 import Trading212
from sync.importers.vanguard import VanguardUK, VanguardUS
from sync.importers.webull import Webull
from sync.importers.xtb import XTB

# One line per format. Of two that recognise a file equally well the person chooses.
_ALL: tuple[Format, ...] = (
    SchwabBrokerage(),
    SchwabChecking(),
    SchwabEquityAwards(),
    IbkrActivity(),
    IbkrHistory(),
    IbkrFlexXml(),
    IbkrFlexCsv(),
    Robinhood(),
    RobinhoodBefore2019(),
    Fidelity(),
    VanguardUS(),
    VanguardUK(),
    ETradeActivity(),
    ETradeTransactions(),
    Webull(),
    OFX(),
    Avanza(),
    Coinbase(),
    Degiro(),
    Freetrade(),
    RevolutInvest(),
    Saxo(),
    Swissquote(),
    TradeRepublic(),
    Trading212(),
    XTB(),
    FrenchBroker(),
    Ghostfolio(),
    Wealthfolio(),
    HandedBack(),
)
FORMATS: dict[str, Format] = {format.key: format for format in _ALL}

_SCHWAB = "At Schwab open Accounts, History, choose the account and export its transactions as CSV; import that file."
_FIDELITY = "At Fidelity open Activity & Orders, History, choose the period and download it as CSV; import that file."
_VANGUARD = "At Vanguard open Activity, Download center, choose a spreadsheet file with transactions; import that file."
_HELD = "which says what you hold but not what happened"
LOOKALIKES = (
    Lookalike(
        columns=frozenset({"currencyprimary", "symbol", "markprice"}),
        advice=f"This is a Flex query of your positions at Interactive Brokers, {_HELD}. Add the sections Trades, Cash "
        "Transactions, Transfers and Corporate Actions to the query, run it again, and import that file.",
    ),
    Lookalike(
        title="positions for",
        columns=frozenset({"symbol", "description", "market value", "cost basis"}),
        advice=f"This is Schwab's positions file, {_HELD}. {_SCHWAB}",
    ),
    Lookalike(
        columns=frozenset({"account type", "account #", "ending mkt value"}),
        advice=f"This is Fidelity's positions file, {_HELD}. {_FIDELITY}",
    ),
    Lookalike(  # as it is since about 2020
        columns=frozenset({"account number", "symbol", "description", "last price", "current value"}),
        advice=f"This is Fidelity's positions file, {_HELD}. {_FIDELITY}",
    ),
    Lookalike(
        columns=frozenset({"account number", "investment name", "symbol", "shares", "share price", "total value"}),
        advice=f"This is Vanguard's positions file, {_HELD}. {_VANGUARD}",
    ),
)


def candidates(source: Source) -> list[tuple[Format, Match]]:
    """The formats that recognise a file, the surest first. Raises FileUnreadable when none can and one finds why."""
    found: list[tuple[Format, Match]] = []
    trouble: FileUnreadable | None = None
    for format in FORMATS.values():
        try:
            match = format.detect(source)
        except FileUnreadable as error:  # split at another delimiter a good file may look damaged
            trouble = trouble or error
        else:
            found += [(format, match)] if match else []
    if trouble is not None and not found:
        raise trouble
    return sorted(found, key=lambda pair: pair[1].score, reverse=True)


def detect(source: Source, *, format_key: str = "") -> tuple[Format, Match]:
    """A file's format and why. With `format_key` only that one is tried. Raises FileNotRead or FileUnreadable."""
    if format_key and format_key not in FORMATS:
        raise FileNotRead(f"There is no file format {format_key[:40]!r}. {_readable()}")
    found = [pair for pair in candidates(source) if not format_key or pair[0].key == format_key]
    if len(found) > 1 and found[0][1].score == found[1][1].score:
        names = " or ".join(format.label for format, match in found if match.score == found[0][1].score)
        raise FileNotRead(f"The file may be {names}. Choose its format.")
    if found:
        return found[0]
    refuse_lookalike(source)
    raise FileNotRead(f"The hub does not know this file's layout. {_readable()}")


def refuse_lookalike(source: Source) -> None:
    """Raises FileNotRead, with the name of the right export, for a file people mistake for one we read."""
    for lookalike in LOOKALIKES:
        if not source.is_markup and lookalike.recognises(source.head()):
            raise FileNotRead(lookalike.advice)


def _readable() -> str:
    labels = "; ".join(format.label for format in FORMATS.values())
    return f"It reads: {labels}. Of any other table, say what the columns are (`mapping`)."
