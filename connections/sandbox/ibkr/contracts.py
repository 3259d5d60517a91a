"""Interactive Brokers' words for instruments. Contract ids are invented and stay the same for ever."""

import zlib
from typing import Any

from connections.sandbox.market import AssetClass, Instrument

NASDAQ = ("AAPL", "MSFT", "NVDA")
COUNTRIES = {"IBIS": "DE", "IBIS2": "IE", "AEB": "NL", "LSE": "GB", "EBS": "CH"}
SECTORS = {
    "SAP": ("Technology", "Software"),
    "ASML": ("Technology", "Semiconductors"),
    "AAPL": ("Technology", "Computers"),
    "MSFT": ("Technology", "Software"),
    "NVDA": ("Technology", "Semiconductors"),
    "NESN": ("Consumer, Non-cyclical", "Food"),
    "ULVR": ("Consumer, Non-cyclical", "Cosmetics/Personal Care"),
    "KO": ("Consumer, Non-cyclical", "Beverages"),
    "NOVN": ("Consumer, Non-cyclical", "Pharmaceuticals"),
    "PFE": ("Consumer, Non-cyclical", "Pharmaceuticals"),
    "HSBA": ("Financial", "Banks"),
    "JPM": ("Financial", "Banks"),
    "BRK.B": ("Financial", "Insurance"),
}
RIGHTS = {"CALL": "C", "PUT": "P"}


def conid(symbol: str) -> int:
    return 100_000_000 + zlib.crc32(symbol.encode()) % 700_000_000


def sec_type(instrument: Instrument) -> str:
    return "OPT" if instrument.option else "STK"


def kind(instrument: Instrument) -> str:
    """COMMON, ETF or ADR; empty for an option."""
    if instrument.option:
        return ""
    if instrument.asset_class is AssetClass.ETF:
        return "ETF"
    return "ADR" if instrument.is_receipt else "COMMON"


def ticker(instrument: Instrument) -> str:
    """A class of shares stands behind a space; an option has its OSI symbol."""
    return instrument.symbol if instrument.option else instrument.symbol.replace(".", " ")


def listed_as(instrument: Instrument) -> str:
    """`ACME`, or for an option `AAPL   JAN2027 296 C [AAPL  270115C00296000 100]`."""
    if not instrument.option:
        return ticker(instrument)
    terms = instrument.terms
    month, strike = f"{terms.expires_on:%b%Y}".upper(), f"{terms.strike.normalize():f}"
    return f"{terms.underlying:<6} {month} {strike} {RIGHTS[terms.right]} [{instrument.symbol} 100]"


def described(instrument: Instrument) -> str:
    """As a statement names it: `ACME CORP`, or `AAPL 15JAN27 296 C`."""
    if not instrument.option:
        return instrument.name.upper()
    terms = instrument.terms
    expires, strike = f"{terms.expires_on:%d%b%y}".upper(), f"{terms.strike.normalize():f}"
    return f"{terms.underlying} {expires} {strike} {RIGHTS[terms.right]}"


def exchange_of(instrument: Instrument) -> str:
    if instrument.option:
        return "CBOE"
    if instrument.asset_class is AssetClass.ETF:
        return instrument.exchange or "ARCA"
    return instrument.exchange or ("NASDAQ" if instrument.symbol in NASDAQ else "NYSE")


def country(instrument: Instrument) -> str:
    return COUNTRIES.get(instrument.exchange, "US")


def isin(instrument: Instrument) -> str:
    """Empty for an option. An American one is its CUSIP with country and check digit (ISO 6166)."""
    if instrument.option:
        return ""
    return instrument.isin or _with_check_digit(f"US{instrument.cusip}")


def _with_check_digit(body: str) -> str:
    digits = "".join(str(int(letter, 36)) for letter in body)
    total = sum(
        sum(divmod(int(digit) * (2 if place % 2 == 0 else 1), 10)) for place, digit in enumerate(reversed(digits))
    )
    return f"{body}{-total % 10}"


def definition(instrument: Instrument) -> dict[str, Any]:
    """The part of a position, and of `/trsrv/secdef`, that does not depend on who holds it."""
    sector, group = SECTORS.get(instrument.symbol, (None, None))
    terms = instrument.option
    return {
        "ticker": terms.underlying if terms else ticker(instrument),
        "name": instrument.name.upper(),
        "fullName": listed_as(instrument),
        "listingExchange": None if terms else exchange_of(instrument),
        "countryCode": country(instrument),
        "allExchanges": "SMART,CBOE,AMEX" if terms else f"SMART,{exchange_of(instrument)}",
        "group": group,
        "sector": sector,
        "sectorGroup": group,
        "type": kind(instrument) or None,
        "hasOptions": not terms and instrument.currency == "USD",
        "isUS": instrument.currency == "USD",
        "isEventContract": False,
        "lastTradingDay": f"{terms.expires_on:%Y%m%d}" if terms else None,
        "undSym": terms.underlying if terms else ticker(instrument),
        "undComp": None,
        "crossCurrency": False,
        "chineseName": "",
        "incrementRules": [{"lowerEdge": 0.0, "increment": 0.01}],
        "displayRule": {
            "magnification": 0,
            "displayRuleStep": [{"decimalDigits": 2, "lowerEdge": 0.0, "wholeDigits": 4}],
        },
    }
