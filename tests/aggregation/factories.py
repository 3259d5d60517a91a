"""One valid thing each, for the tests of the books. What a test does not name is the plainest there is."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from aggregation.models import NOT_SHOWN, Transaction
from brokerhub.kernel.models import User
from connections.brokers.records import (
    AssetClass,
    AuthMethod,
    BalanceRecord,
    Broker,
    Holdings,
    InstrumentRecord,
    PositionRecord,
    TransactionKind,
    TransactionRecord,
)
from connections.models import Account, Connection, Environment
from connections.states import ConnectionState

AS_OF = datetime(2026, 11, 20, 21, 30, tzinfo=UTC)
AAPL = InstrumentRecord(asset_class=AssetClass.EQUITY, symbol="AAPL", name="Apple Inc", cusip="037833100")
BND = InstrumentRecord(asset_class=AssetClass.ETF, symbol="BND", name="Vanguard Total Bond Market", cusip="921937835")
CALL = InstrumentRecord(
    asset_class=AssetClass.OPTION, symbol="AAPL  270115C00240000", underlying="AAPL", multiplier=Decimal(100)
)


def a_user(email: str = "") -> User:
    return User.objects.create_user(email or f"{uuid4().hex}@example.com", "a long enough password")


def a_connection(user: User | None = None, **fields: Any) -> Connection:
    defaults: dict[str, Any] = {
        "broker": Broker.SCHWAB,
        "method": AuthMethod.SCHWAB_OAUTH,
        "environment": Environment.SANDBOX,
        "label": "Schwab",
        "state": ConnectionState.CONNECTED,
        "reason_code": "",
    }
    return Connection.objects.create(user=user or a_user(), **defaults | fields)


def an_account(connection: Connection | None = None, **fields: Any) -> Account:
    defaults: dict[str, Any] = {"external_id": uuid4().hex, "mask": "4321", "name": "Individual"}
    return Account.objects.create(connection=connection or a_connection(), **defaults | fields)


def a_record(external_id: str = "", **fields: Any) -> TransactionRecord:
    defaults: dict[str, Any] = {
        "kind": TransactionKind.BUY,
        "traded_on": date(2026, 3, 2),
        "instrument": AAPL,
        "quantity": Decimal(10),
        "price": Decimal("180.25"),
        "gross_amount": Decimal("-1802.50"),
        "net_amount": Decimal("-1802.50"),
        "currency": "USD",
        "description": "Bought 10 AAPL",
        "raw": {"activityId": external_id, "accountNumber": "12344321"},
    }
    return TransactionRecord(external_id=external_id, **defaults | fields)


def a_position(instrument: InstrumentRecord = AAPL, quantity: str = "10", **fields: Any) -> PositionRecord:
    defaults: dict[str, Any] = {
        "average_cost": Decimal("180.25"),
        "price": Decimal("200"),
        "market_value": Decimal(quantity) * 200 * instrument.multiplier,
        "day_change": Decimal("12.50"),
        "currency": "USD",
        "raw": {},
    }
    return PositionRecord(instrument=instrument, quantity=Decimal(quantity), **defaults | fields)


def a_balance(**fields: Any) -> BalanceRecord:
    defaults: dict[str, Any] = {
        "currency": "USD",
        "cash": Decimal("500.00"),
        "net_asset_value": Decimal("2500.00"),
        "market_value": Decimal("2000.00"),
        "raw": {},
    }
    return BalanceRecord(**defaults | fields)


def some_holdings(*positions: PositionRecord, **fields: Any) -> Holdings:
    defaults: dict[str, Any] = {"as_of": AS_OF, "positions": positions, "balances": (a_balance(),)}
    return Holdings(**defaults | fields)


def the_books(account: Account) -> list[tuple[Any, ...]]:
    """What counts in the account, in an order of its own: which of two twins came first is no difference."""
    rows = Transaction.objects.filter(account=account).exclude(status__in=NOT_SHOWN)
    return sorted(
        rows.values_list(
            "external_id", "kind", "traded_on", "instrument__key", "quantity", "net_amount", "status", "description"
        ),
        key=repr,
    )
