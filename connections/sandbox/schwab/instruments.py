"""Schwab's words for instruments, times and prices."""

import zlib
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from connections.sandbox.clock import at_new_york
from connections.sandbox.market import AssetClass, Instrument

ASSET_TYPES = {
    AssetClass.STOCK: "EQUITY",
    AssetClass.ETF: "COLLECTIVE_INVESTMENT",
    AssetClass.OPTION: "OPTION",
    AssetClass.BOND: "FIXED_INCOME",
    AssetClass.MONEY_FUND: "CASH_EQUIVALENT",
}
TYPES = {
    AssetClass.ETF: "EXCHANGE_TRADED_FUND",
    AssetClass.OPTION: "VANILLA",
    AssetClass.BOND: "US_TREASURY_NOTE",
    AssetClass.MONEY_FUND: "MONEY_MARKET_FUND",
}


def instant(moment: datetime) -> str:
    """`2025-03-04T15:30:00+0000`: no colon in the offset, no fraction."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def midnight(day: date) -> str:
    """A date without a time: midnight in New York, told in UTC."""
    return instant(at_new_york(day))


def stable_number(text: str, base: int) -> int:
    """An id Schwab would have given; the same text gets the same one."""
    return base + zlib.crc32(text.encode()) % 1_000_000


def in_position(instrument: Instrument, net_change: Decimal) -> dict[str, Any]:
    """Instrument of a position. Shares carry no description; only some classes carry a type."""
    words: dict[str, Any] = {
        "assetType": ASSET_TYPES[instrument.asset_class],
        "cusip": instrument.cusip,
        "symbol": instrument.symbol,
    }
    if instrument.asset_class is not AssetClass.STOCK:
        words["description"] = instrument.name
    if instrument.asset_class in (AssetClass.STOCK, AssetClass.OPTION):
        words["netChange"] = net_change
    if instrument.asset_class is AssetClass.BOND:
        words |= _bond(instrument)
    elif type_ := TYPES.get(instrument.asset_class):
        words["type"] = type_
    if instrument.asset_class is AssetClass.OPTION:
        words |= {"putCall": instrument.terms.right, "underlyingSymbol": instrument.terms.underlying}
    return words


def in_transaction(instrument: Instrument, closing_price: Decimal) -> dict[str, Any]:
    """Instrument of a transfer item."""
    words: dict[str, Any] = {
        "assetType": ASSET_TYPES[instrument.asset_class],
        "status": "ACTIVE",
        "symbol": instrument.symbol,
    }
    if instrument.asset_class is not AssetClass.STOCK:
        words["description"] = instrument.name
    words |= {"instrumentId": stable_number(instrument.symbol, 1_600_000), "closingPrice": closing_price}
    match instrument.asset_class:
        case AssetClass.STOCK:
            words["type"] = "DEPOSITORY_RECEIPT" if instrument.is_receipt else "COMMON_STOCK"
        case AssetClass.OPTION:
            words |= _option(instrument)
        case AssetClass.BOND:
            words |= {"cusip": instrument.cusip, "type": TYPES[AssetClass.BOND], **_bond(instrument)}
            words["multiplier"] = instrument.multiplier
        case other:
            words["type"] = TYPES[other]
    return words


def _bond(instrument: Instrument) -> dict[str, Any]:
    assert instrument.matures_on
    return {"maturityDate": midnight(instrument.matures_on), "factor": Decimal(1), "variableRate": instrument.coupon}


def _option(instrument: Instrument) -> dict[str, Any]:
    terms = instrument.terms
    deliverable = {
        "rootSymbol": terms.underlying,
        "strikePercent": 100,
        "deliverableNumber": 1,
        "deliverableUnits": instrument.multiplier,
    }
    return {
        "expirationDate": midnight(terms.expires_on),
        "optionDeliverables": [deliverable],
        "optionPremiumMultiplier": 100,
        "putCall": terms.right,
        "strikePrice": terms.strike,
        "type": "VANILLA",
        "underlyingSymbol": terms.underlying,
    }
