"""Which instrument a row of a Flex statement speaks of, in the hub's words and spelling. Pure."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal

from connections.brokers.ibkr_statement import IncompleteQuery, Odd, Row, Statement
from connections.brokers.records import AssetClass, InstrumentRecord

ASSET_CLASSES = {
    "STK": AssetClass.EQUITY,
    "OPT": AssetClass.OPTION,
    "FOP": AssetClass.OPTION,
    "FSOPT": AssetClass.OPTION,
    "FSFOP": AssetClass.OPTION,
    "FUT": AssetClass.FUTURE,
    "CASH": AssetClass.FOREX,
    "BOND": AssetClass.BOND,
    "BILL": AssetClass.BOND,
    "FUND": AssetClass.FUND,
    "CRYPTO": AssetClass.CRYPTO,
    "WAR": AssetClass.OTHER,
    "IOPT": AssetClass.OTHER,
    "CFD": AssetClass.OTHER,
    "FXCFD": AssetClass.OTHER,
    "CMDTY": AssetClass.OTHER,
}
OSI = re.compile(r"[A-Z0-9. ]{6}\d{6}[CP]\d{8}")
RENAMED = re.compile(r"\.(OLD|NEW)$")  # how a row of a corporate action marks the contract before and after


def instrument(row: Row, *, unknown: AssetClass | None = None) -> InstrumentRecord:
    """The instrument a row names by itself; of a category not in the table it is `unknown`, if that is given.

    Raises Odd or IncompleteQuery.
    """
    word = row.text("assetCategory")
    asset_class = ASSET_CLASSES.get(word, unknown)
    if asset_class is None:
        raise Odd(f"unknown asset category {word!r}")
    if word == "STK" and row.maybe("subCategory") == "ETF":
        asset_class = AssetClass.ETF
    symbol = RENAMED.sub("", row.text("symbol"))
    if asset_class is AssetClass.OPTION:
        symbol = _osi(row, row.told["symbol"])
    elif asset_class is AssetClass.CRYPTO:
        symbol = symbol.partition(".")[0]
    elif asset_class in {AssetClass.EQUITY, AssetClass.ETF}:
        symbol = symbol.replace(" ", ".")
    if not symbol:
        raise Odd("the instrument has no symbol")
    id_type = row.maybe("securityIDType")
    return InstrumentRecord(
        asset_class=asset_class,
        symbol=symbol,
        currency=row.text("currency"),
        name=row.maybe("description"),
        cusip=row.maybe("cusip") or (row.maybe("securityID") if id_type == "CUSIP" else ""),
        isin=row.maybe("isin") or (row.maybe("securityID") if id_type == "ISIN" else ""),
        conid=row.maybe("conid"),
        underlying=row.maybe("underlyingSymbol") if asset_class is AssetClass.OPTION else "",
        multiplier=_multiplier(row, asset_class),
    )


def _osi(row: Row, symbol: str) -> str:
    """The symbol in OSI form; contracts outside the United States have names of their own, so it is put together."""
    if OSI.fullmatch(symbol):
        return symbol
    side, strike = row.text("putCall"), row.number("strike") * 1000
    root = row.text("underlyingSymbol")
    if side not in {"P", "C"} or strike != strike.to_integral_value() or not 0 < len(root) <= 6:
        raise Odd(f"the option {symbol!r} cannot be named in OSI form")
    return f"{root:<6}{row.dates.day(row.text('expiry')):%y%m%d}{side}{int(strike):08d}"


def _multiplier(row: Row, asset_class: AssetClass) -> Decimal:
    """Bonds are counted by face value and priced per 100, which their `multiplier` of 1 does not say."""
    told = row.number("multiplier") if asset_class is AssetClass.OPTION else row.maybe_number("multiplier")
    if asset_class is AssetClass.BOND:
        return (told or Decimal(1)) / 100
    return told or Decimal(1)


@dataclass(frozen=True, slots=True)
class Known:
    """Instruments by contract id. Dividends may be paid in another currency than the share is listed in."""

    by_contract: Mapping[str, InstrumentRecord] = field(default_factory=dict)

    @classmethod
    def by(cls, statements: Iterable[Statement]) -> "Known":
        found: dict[str, InstrumentRecord] = {}
        for statement in statements:
            for section in ("Trades", "SecuritiesInfo", "OpenPositions"):
                for row in statement.sections.get(section, ()):
                    with suppress(Odd, IncompleteQuery):  # its own section says so
                        if row.maybe("conid"):
                            found[row.maybe("conid")] = instrument(row)
        return cls(found)

    def mentioned(self, row: Row) -> InstrumentRecord | None:
        """What a row is about whose text is not the instrument's name; None when it is about money alone."""
        if row.maybe("conid") in self.by_contract:
            return self.by_contract[row.maybe("conid")]
        if not row.maybe("symbol") or row.maybe("assetCategory") in {"", "CASH"}:
            return None
        return replace(instrument(row), name="")
