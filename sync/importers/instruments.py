"""What a file calls a security, in the hub's spelling. Files seldom name its kind: beyond options and CUSIPs it is a
guess from symbol and name, which the identity of the instrument does not depend on."""

import re
from datetime import date
from decimal import Decimal
from functools import lru_cache

from connections.brokers.records import AssetClass, InstrumentRecord

CONTRACT = Decimal(100)  # shares
PER_HUNDRED = Decimal("0.01")  # a bond whose units are its face value is priced per 100 of it
_OSI = re.compile(r"([A-Z0-9.]{1,6})\s*(\d{6}[CP]\d{8})", re.ASCII)
_COMPACT = re.compile(r"-?([A-Z.]{1,6}[0-9]?)(\d\d)(\d\d)(\d\d)([CP])(\d{1,5}(?:\.\d{1,3})?)", re.ASCII)
_NAMED = re.compile(
    r"\b(CALL|PUT)\s+\(?([A-Z0-9./]{1,6})\)?\s+(\d\d)/(\d\d)/(?:\d\d)?(\d\d)\s+\$?(\d+(?:\.\d+)?)", re.ASCII
)
_CUSIP = re.compile(r"[0-9]{3}[0-9A-Z]{5}[0-9]", re.ASCII)
_ISIN = re.compile(r"[A-Z]{2}[0-9A-Z]{9}[0-9]", re.ASCII)
_FUND = re.compile(r"[A-Z]{4}X", re.ASCII)  # Nasdaq's rule: five letters ending in X; XX is a money fund
MAX_SYMBOL = 40


def option_symbol(root: str, expires_on: str, side: str, strike: Decimal) -> str:
    """OSI form: the root padded to six characters, YYMMDD, C or P, and 1000 times the strike in eight digits.

    An option on BRK.B is written BRKB. Raises ValueError for what does not fit.
    """
    bare = re.sub(r"[./ ]", "", root.upper())
    thousandths = strike * 1000
    if not 1 <= len(bare) <= 6 or thousandths != int(thousandths) or not 0 < thousandths < 10**8:
        raise ValueError(f"“{root[:20]} {strike}” is no option the hub can name")
    return f"{bare:<6}{expires_on}{side[0].upper()}{int(thousandths):08d}"


def option(
    root: str, expires_on: date, side: str, strike: Decimal, *, name: str = "", currency: str = "USD"
) -> InstrumentRecord:
    """Raises ValueError for a strike or root that does not fit the OSI form."""
    return option_named(option_symbol(root, f"{expires_on:%y%m%d}", side, strike), name=name, currency=currency)


def option_named(symbol: str, *, name: str = "", currency: str = "USD") -> InstrumentRecord:
    """The option of a symbol in OSI form, 21 characters."""
    return InstrumentRecord(
        asset_class=AssetClass.OPTION,
        symbol=symbol,
        currency=currency,
        name=name,
        underlying=symbol[:6].strip(),
        multiplier=CONTRACT,
    )


def osi(text: str) -> str | None:
    """`SPY   250321C00500000`, with or without the blanks, in 21 characters; None when it is no such symbol."""
    found = _OSI.fullmatch(text.upper())
    return f"{found[1].replace('.', ''):<6}{found[2]}" if found else None


def compact_option(text: str) -> str | None:
    """`-SPY180125C260` and `TSLA260620C400`, the strike as it is, in OSI form; None when it is no such symbol."""
    found = _COMPACT.fullmatch(text.upper())
    if found is None:
        return None
    root, year, month, day, side, strike = found.groups()
    return option_symbol(root, f"{year}{month}{day}", side, Decimal(strike))


def named_option(text: str) -> str | None:
    """The `CALL NVDA 01/19/24 500` of a description in OSI form; None when it names none."""
    found = _NAMED.search(text.upper())
    if found is None:
        return None
    side, root, month, day, year, strike = found.groups()
    return option_symbol(root, f"{year}{month}{day}", side, Decimal(strike))


def by_name(name: str, *, currency: str = "USD", asset_class: AssetClass | None = None) -> InstrumentRecord | None:
    """A security the file only names: the beginning of its name stands for it, however it is punctuated."""
    bare = re.sub(r"[^A-Z0-9]+", " ", name.upper()).strip()[:MAX_SYMBOL].strip()
    return security(bare, name=name, currency=currency, asset_class=asset_class)


@lru_cache(maxsize=8192)  # a file has many rows of one security
def security(
    symbol: str,
    *,
    name: str = "",
    cusip: str = "",
    isin: str = "",
    currency: str = "USD",
    asset_class: AssetClass | None = None,
    multiplier: Decimal = Decimal(1),
) -> InstrumentRecord | None:
    """What `symbol` stands for; without one the ISIN or CUSIP stands for it, and without those there is no security.

    Raises ValueError for a text too long to be a symbol.
    """
    cusip = cusip if _CUSIP.fullmatch(cusip.upper()) else ""
    isin = isin if _ISIN.fullmatch(isin.upper()) else ""
    bare = (symbol or cusip or isin).upper()
    if not bare:
        return None
    if len(bare) > MAX_SYMBOL:
        raise ValueError(f"“{symbol[:40]}” is too long for a symbol")
    if option := osi(bare):
        return option_named(option, name=name, currency=currency)
    return InstrumentRecord(
        asset_class=asset_class or guess(bare, name.upper()),
        symbol=re.sub(r"[/ ]", ".", bare),
        currency=currency,
        name=name,
        cusip=cusip or (bare if _CUSIP.fullmatch(bare) else ""),
        isin=isin,
        multiplier=multiplier,
    )


def is_cusip_shaped(text: str) -> bool:
    return _CUSIP.fullmatch(text.upper()) is not None


def guess(symbol: str, name: str) -> AssetClass:
    """From symbol and name in capitals."""
    if _FUND.fullmatch(symbol):
        return AssetClass.MONEY_FUND if symbol.endswith("XX") else AssetClass.FUND
    if _CUSIP.fullmatch(symbol) and " DUE " in name:
        return AssetClass.BOND
    return AssetClass.ETF if " ETF" in name else AssetClass.EQUITY
