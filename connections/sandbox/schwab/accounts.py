"""An account of the book with Schwab's positions and its many balances."""

from decimal import Decimal
from typing import Any

from connections.sandbox.book import ZERO, Account
from connections.sandbox.market import CENT, AssetClass
from connections.sandbox.schwab.instruments import in_position
from connections.sandbox.valuation import Valued, total

UNIT = Decimal("0.0001")
SHARES = (AssetClass.STOCK, AssetClass.ETF)
FUND, BOND, OPTION = AssetClass.MONEY_FUND, AssetClass.BOND, AssetClass.OPTION
MAINTENANCE = Decimal("0.3")


def account_body(account: Account, positions: list[Valued], *, with_positions: bool) -> dict[str, Any]:
    """One element of `/accounts`; without `with_positions` there is no such key."""
    securities: dict[str, Any] = {
        "type": "MARGIN" if account.margin else "CASH",
        "accountNumber": account.number,
        "roundTrips": 0,
        "isDayTrader": False,
        "isClosingOnlyRestricted": False,
        "pfcbFlag": False,
    }
    if with_positions:
        securities["positions"] = [_position(position, account) for position in positions]
    balances = _margin_balances if account.margin else _cash_balances
    securities |= balances(account, positions)
    worth, before = account.cash + total(positions), account.cash + total(positions, previous=True)
    return {
        "securitiesAccount": securities,
        "aggregatedBalance": {"currentLiquidationValue": worth, "liquidationValue": before},
    }


def _position(position: Valued, account: Account) -> dict[str, Any]:
    """Only the keys of the side that is held are present."""
    side, size = ("Short", -position.quantity) if position.quantity < 0 else ("Long", position.quantity)
    is_short = side == "Short"
    with_fees = position.holding.average_cost.quantize(UNIT)
    gain_today = position.value - position.previous_value
    percent = gain_today / abs(position.previous_value) * 100 if position.previous_value else ZERO
    needs_maintenance = account.margin and position.instrument.asset_class in SHARES
    return {
        "shortQuantity": size if is_short else ZERO,
        "averagePrice": with_fees,
        "currentDayProfitLoss": gain_today,
        "currentDayProfitLossPercentage": percent.quantize(CENT),
        "longQuantity": ZERO if is_short else size,
        "settledLongQuantity": ZERO if is_short else size,
        "settledShortQuantity": -size if is_short else ZERO,
        "instrument": in_position(position.instrument, position.price - position.previous_price),
        "marketValue": position.value,
        "maintenanceRequirement": (position.value * MAINTENANCE).quantize(CENT) if needs_maintenance else ZERO,
        f"average{side}Price": position.holding.average_price.quantize(UNIT),
        f"taxLotAverage{side}Price": with_fees,
        f"{side.lower()}OpenProfitLoss": position.open_gain,
        f"previousSession{side}Quantity": size,
        "currentDayCost": ZERO,
    }


def _cash_balances(account: Account, positions: list[Valued]) -> dict[str, Any]:
    cash = account.cash
    available = {"cashAvailableForTrading": cash, "cashAvailableForWithdrawal": cash}
    before = cash + total(positions, previous=True)
    return {
        "initialBalances": {
            "accruedInterest": ZERO, **available, "cashBalance": cash,
            "bondValue": total(positions, BOND, previous=True), "cashReceipts": ZERO, "liquidationValue": before,
            "longOptionMarketValue": total(positions, OPTION, short=False, previous=True),
            "longStockValue": total(positions, *SHARES, short=False, previous=True),
            "moneyMarketFund": total(positions, FUND, previous=True), "mutualFundValue": ZERO,
            "shortOptionMarketValue": ZERO, "shortStockValue": ZERO, "isInCall": False, "unsettledCash": ZERO,
            "cashDebitCallValue": ZERO, "pendingDeposits": ZERO, "accountValue": before,
        },
        "currentBalances": {
            **_common_current(account, positions), **available, "cashCall": ZERO,
            "longNonMarginableMarketValue": total(positions, *SHARES), "totalCash": cash, "cashDebitCallValue": ZERO,
            "unsettledCash": ZERO,
        },
        "projectedBalances": available,
    }  # fmt: skip


def _margin_balances(account: Account, positions: list[Valued]) -> dict[str, Any]:
    """A debit is no negative cash balance at Schwab: it stands in `marginBalance`."""
    cash, debit = max(account.cash, ZERO), min(account.cash, ZERO)
    shares, worth = total(positions, *SHARES), account.cash + total(positions)
    required = (shares * MAINTENANCE).quantize(CENT)
    power = {"buyingPower": max(account.cash * 2, ZERO), "dayTradingBuyingPower": ZERO}
    before = account.cash + total(positions, previous=True)
    return {
        "initialBalances": {
            "accruedInterest": ZERO, "availableFundsNonMarginableTrade": cash,
            "bondValue": power["buyingPower"] * 2,  # as at Schwab: buying power for bonds, not bonds held
            **power, "cashBalance": cash, "cashAvailableForTrading": ZERO, "cashReceipts": ZERO,
            "dayTradingBuyingPowerCall": ZERO, "dayTradingEquityCall": ZERO, "equity": before,
            "equityPercentage": Decimal(100), "liquidationValue": before,
            "longMarginValue": total(positions, *SHARES, short=False, previous=True),
            "longOptionMarketValue": total(positions, OPTION, short=False, previous=True),
            "longStockValue": total(positions, *SHARES, short=False, previous=True), "maintenanceCall": ZERO,
            "maintenanceRequirement": required, "margin": debit, "marginEquity": before,
            "moneyMarketFund": total(positions, FUND, previous=True), "mutualFundValue": cash, "regTCall": ZERO,
            "shortMarginValue": ZERO, "shortOptionMarketValue": total(positions, OPTION, short=True, previous=True),
            "shortStockValue": total(positions, *SHARES, short=True, previous=True), "totalCash": ZERO,
            "isInCall": False, "unsettledCash": ZERO, "pendingDeposits": ZERO, "marginBalance": debit,
            "shortBalance": ZERO, "accountValue": before,
        },
        "currentBalances": {
            **_common_current(account, positions), "availableFunds": cash, "availableFundsNonMarginableTrade": cash,
            **power, "buyingPowerNonMarginableTrade": cash, "equity": worth, "equityPercentage": Decimal(100),
            "longMarginValue": total(positions, *SHARES, short=False), "maintenanceCall": ZERO,
            "maintenanceRequirement": required, "marginBalance": debit, "regTCall": ZERO, "shortBalance": ZERO,
            "shortMarginValue": ZERO, "sma": cash,
        },
        "projectedBalances": {
            "availableFunds": cash, "availableFundsNonMarginableTrade": cash, **power,
            "dayTradingBuyingPowerCall": ZERO, "maintenanceCall": ZERO, "regTCall": ZERO, "isInCall": False,
            "stockBuyingPower": power["buyingPower"],
        },
    }  # fmt: skip


def _common_current(account: Account, positions: list[Valued]) -> dict[str, Any]:
    return {
        "accruedInterest": ZERO,
        "cashBalance": max(account.cash, ZERO),
        "cashReceipts": ZERO,
        "longOptionMarketValue": total(positions, OPTION, short=False),
        "liquidationValue": account.cash + total(positions),
        "longMarketValue": total(positions, *SHARES, short=False),
        "moneyMarketFund": total(positions, FUND),
        "savings": ZERO,
        "shortMarketValue": total(positions, *SHARES, short=True),
        "pendingDeposits": ZERO,
        "mutualFundValue": ZERO,
        "bondValue": total(positions, BOND),
        "shortOptionMarketValue": total(positions, OPTION, short=True),
    }
