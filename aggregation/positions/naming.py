"""One spelling of a symbol, and what an identifier proves. Pure.

Sources: ISO 6166 (ISIN), ANSI X9.6 (CUSIP), OCC Options Symbology Initiative; class shares are written BRK.B by the
exchanges' consolidated tape, BRK B by Interactive Brokers, BRK/B by Schwab and BRK-B by Yahoo.
"""

import re

from connections.brokers.records import AssetClass

QUOTES = ("USD", "USDT", "USDC", "EUR", "GBP")  # what coins are paid for in
SHARES = (AssetClass.EQUITY, AssetClass.ETF, AssetClass.FUND, AssetClass.OTHER)
_CLASS_SHARE = re.compile(r"([A-Z]{1,5})[ ./-]([A-Z])")
_COMPACT_OPTION = re.compile(r"([A-Z0-9.]{1,6}) *(\d{6}[CP]\d{8})")
_CUSIP = re.compile(r"[0-9A-Z*@#]{8}[0-9]")
_ISIN = re.compile(r"[A-Z]{2}[0-9A-Z]{9}[0-9]")
_VALUES = {character: value for value, character in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*@#")}


def spelled(symbol: str, asset_class: str, currency: str) -> str:
    """The hub's spelling: class shares as BRK.B, coins without what they are paid for in, options in OSI form.

    A coin's pair is cut only at a currency it can be quoted in: BTCUSD is BTC. Written as one word, the coin must have
    three letters, because dollars on a chain are called FDUSD and PYUSD.
    """
    if asset_class == AssetClass.CRYPTO:
        return _coin(symbol.upper(), currency)
    if asset_class == AssetClass.OPTION:
        option = _COMPACT_OPTION.fullmatch(symbol.upper())
        return f"{option[1].replace('.', ''):<6}{option[2]}" if option else symbol
    share = _CLASS_SHARE.fullmatch(symbol.upper()) if asset_class in SHARES else None
    return f"{share[1]}.{share[2]}" if share else symbol


def _coin(text: str, currency: str) -> str:
    base, mark, quote = re.sub(r"[-/_.: ]", "-", text).partition("-")
    if mark and (quote in QUOTES or quote == currency):
        return base
    quotes = sorted({*QUOTES, currency}, key=len, reverse=True)
    return next(
        (text.removesuffix(each) for each in quotes if text.endswith(each) and len(text) >= len(each) + 3), text
    )


def is_cusip(text: str) -> bool:
    """Nine characters whose last is the check digit of the others ("modulus 10 double add double", ANSI X9.6)."""
    if not _CUSIP.fullmatch(text):
        return False
    total = 0
    for place, character in enumerate(text[:8]):
        value = _VALUES[character] * (1 + place % 2)
        total += value // 10 + value % 10
    return (10 - total % 10) % 10 == int(text[8])


def is_isin(text: str) -> bool:
    """Twelve characters whose last is the check digit: Luhn over the digits, letters written as 10 to 35."""
    if not _ISIN.fullmatch(text):
        return False
    digits = "".join(str(_VALUES[character]) for character in text)
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value // 10 + value % 10
    return total % 10 == 0


def national_number(cusip: str, isin: str) -> str:
    """The one number both prove: an American or Canadian ISIN holds its CUSIP; any other ISIN stands for itself.

    Empty when neither is valid: a mistyped identifier proves nothing.
    """
    if is_isin(isin):
        return isin[2:11] if isin[:2] in ("US", "CA") else isin
    return cusip if is_cusip(cusip) else ""
