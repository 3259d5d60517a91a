"""The hub's books and the sandbox's truth, brought into one form so that they can be held against each other."""

from decimal import Decimal
from typing import Any

from aggregation.models import Balance, Position, Transaction
from connections.models import Connection
from sync import sync_service
from sync.models import SyncRun, Trigger

MOST_TRIES = 12
Books = dict[str, dict[str, Any]]


def sync(connection: Connection, **what: Any) -> SyncRun:
    """One sync to its end by the service the worker calls; waits are cut short, not slept through."""
    run = sync_service.request_sync(user=connection.user, connection=connection, trigger=Trigger.MANUAL, **what)
    for _ in range(MOST_TRIES):
        sync_service.run_one(run.pk)
        run.refresh_from_db()
        if not run.status.is_open:
            connection.refresh_from_db()
            return run
        SyncRun.objects.filter(pk=run.pk).update(wait_until=None)
    raise AssertionError(f"the run is still {run.state} after {MOST_TRIES} tries: {run.wait_reason}")


def number(text: Any) -> Decimal | None:
    return None if text is None else Decimal(text)


def of_hub(connection: Connection) -> Books:
    return {account.external_id: _account(account.pk) for account in connection.accounts.all()}


def _account(account_id: int) -> dict[str, Any]:
    balance = Balance.objects.get(account=account_id)
    return {
        "cash": balance.cash,
        "value": balance.net_asset_value,
        "positions": {
            position.instrument.symbol: (position.quantity, position.market_value, position.average_cost)
            for position in Position.objects.held().filter(account=account_id).select_related("instrument")
        },
        "transactions": {
            row.external_id: {
                "kind": row.kind,
                "traded_on": row.traded_on.isoformat(),
                "settled_on": row.settled_on and row.settled_on.isoformat(),
                "symbol": row.instrument.symbol if row.instrument else None,
                "quantity": row.quantity,
                "price": row.price,
                "fees": row.fees,
                "net_amount": row.net_amount,
                "currency": row.currency,
            }
            for row in Transaction.objects.in_books().filter(account=account_id).select_related("instrument")
        },
    }


def of_broker(truth: dict[str, Any]) -> Books:
    held = [position for account in truth["accounts"] for position in account["positions"]]
    # Schwab names no settlement date on an executed order, and bonds and funds have no rule the hub could apply.
    unsaid = {position["symbol"] for position in held if position["asset_class"] in {"bond", "money_fund"}}
    return {
        account["hash"]: {
            "cash": number(account["cash"]),
            "value": number(account["value"]),
            "positions": {
                position["symbol"]: (
                    number(position["quantity"]),
                    number(position["market_value"]),
                    number(position["average_cost"]),
                )
                for position in account["positions"]
            },
            "transactions": {
                row["activity_id"]: {
                    "kind": row["kind"],
                    "traded_on": row["traded_on"],
                    "settled_on": None if row["order_id"] and row["symbol"] in unsaid else row["settled_on"],
                    "symbol": row["symbol"],
                    "quantity": number(row["quantity"]),
                    "price": number(row["price"]),
                    "fees": number(row["fees"]),
                    "net_amount": number(row["net_amount"]),
                    "currency": row["currency"],
                }
                for row in account["transactions"]
                if row["status"] == "posted"
            },
        }
        for account in truth["accounts"]
    }


def differences(hub: Any, broker: Any, path: str = "") -> list[str]:
    """Every place where the two differ, each as "path: hub's value, not the broker's"."""
    if isinstance(hub, dict) and isinstance(broker, dict):
        found = [f"{path}/{key}: missing at the hub" for key in broker.keys() - hub.keys()]
        found += [f"{path}/{key}: only at the hub" for key in hub.keys() - broker.keys()]
        for key in sorted(hub.keys() & broker.keys()):
            found += differences(hub[key], broker[key], f"{path}/{key}")
        return found
    return [] if hub == broker else [f"{path}: {hub}, not {broker}"]
