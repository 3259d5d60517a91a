"""How Interactive Brokers' statements name securities, in the spelling the Flex feed gives: case matters in `HMBs`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from connections.brokers.ibkr_instruments import RENAMED
from connections.brokers.records import AssetClass, InstrumentRecord
from sync.importers import instruments

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
CATEGORIES = (  # how the name of an asset category begins or what it has within, in any language we know
    ("option", AssetClass.OPTION),
    ("опцион", AssetClass.OPTION),
    ("forex", AssetClass.FOREX),
    ("futur", AssetClass.FUTURE),
    ("фьючерс", AssetClass.FUTURE),
    ("bond", AssetClass.BOND),
    ("bill", AssetClass.BOND),
    ("облигац", AssetClass.BOND),
    ("anleihe", AssetClass.BOND),
    ("mutual fund", AssetClass.FUND),
    ("crypto", AssetClass.CRYPTO),
    ("cfd", AssetClass.OTHER),
    ("warrant", AssetClass.OTHER),
)
WITHOUT_PRINCIPAL = ("futur", "фьючерс", "cfd")  # their notional value is never paid
_OPTION = re.compile(r"([A-Z0-9. ]{1,6}) (\d\d)([A-Z]{3})(\d\d) (\d+(?:\.\d+)?) ([CP])", re.ASCII)
_MENTIONED = re.compile(r"\s*([\w./ -]{1,20}?)\s*\(([A-Z]{2}[0-9A-Z]{9}[0-9])\)")
_LAST = re.compile(r"\(([^(),]{1,20}), (.+), ([0-9A-Z]{9}(?:[0-9A-Z]{3})?)\)\s*$")


@dataclass(frozen=True, slots=True)
class Listed:
    """What the statement's list of instruments says of one."""

    name: str = ""
    isin: str = ""
    multiplier: Decimal = Decimal(1)
    is_etf: bool = False


Book = Mapping[str, Listed]  # by symbol


def asset_class(category: str) -> AssetClass:
    bare = category.casefold()
    return next((found for word, found in CATEGORIES if word in bare), AssetClass.EQUITY)


def has_principal(category: str) -> bool:
    return not any(word in category.casefold() for word in WITHOUT_PRINCIPAL)


def security(symbol: str, currency: str, *, book: Book, category: str = "", isin: str = "") -> InstrumentRecord:
    """Raises ValueError for an option that cannot be named, or for no symbol at all."""
    listed = book.get(symbol, Listed())
    kind = asset_class(category)
    option = _option(symbol)
    if option or kind is AssetClass.OPTION:
        if option is None:
            raise ValueError(f"“{symbol[:40]}” is no option the hub can name")
        found = instruments.option_named(option, name=listed.name, currency=currency)
        return replace(found, multiplier=listed.multiplier) if listed.multiplier != 1 else found
    bare = RENAMED.sub("", symbol.strip())
    if not bare or len(bare) > instruments.MAX_SYMBOL:
        raise ValueError(f"“{symbol[:40]}” is no symbol")
    if kind is AssetClass.EQUITY:
        bare, kind = bare.replace(" ", "."), AssetClass.ETF if listed.is_etf else kind
    multiplier = instruments.PER_HUNDRED if kind is AssetClass.BOND else listed.multiplier
    isin = isin or listed.isin
    return InstrumentRecord(
        asset_class=kind, symbol=bare, currency=currency, name=listed.name, isin=isin, multiplier=multiplier
    )


def mentioned(text: str, currency: str, *, book: Book) -> InstrumentRecord | None:
    """What `VTI(US9229087690) Cash Dividend ...` is about; None when it names no security. Raises ValueError."""
    found = _MENTIONED.match(text)
    return security(found[1], currency, book=book, isin=found[2]) if found else None


def concerned(text: str, currency: str, *, book: Book, category: str) -> InstrumentRecord | None:
    """Which of the securities a corporate action names its row is about: `... (SHEL WI, SHELL PLC, US7802593050)`.

    Raises ValueError.
    """
    found = _LAST.search(text)
    if not found:
        return mentioned(text, currency, book=book)
    symbol, name, code = found.groups()
    record = security(symbol, currency, book=book, category=category)
    return replace(record, name=name, isin=code if len(code) == 12 else "", cusip=code if len(code) == 9 else "")


def _option(symbol: str) -> str | None:
    """`NVDA 15AUG25 170 C`, and OSI, in OSI form. Raises ValueError for a day that does not exist."""
    printed = _OPTION.fullmatch(symbol.strip())
    if not printed:
        return instruments.osi(symbol)
    root, day, month, year, strike, side = printed.groups()
    if month not in MONTHS:
        return None
    expires_on = date(2000 + int(year), MONTHS.index(month) + 1, int(day))
    return instruments.option_symbol(root, f"{expires_on:%y%m%d}", side, Decimal(strike))
