"""What is really so, in words of no broker: numbers as exact text, so that a hub's books can be held against it."""

from decimal import Decimal
from typing import Any

from connections.sandbox.book import Account, Event
from connections.sandbox.people import Person
from connections.sandbox.valuation import Valued, valued, worth
from connections.sandbox.world import WORLD


def of_person(person: Person, broker: str | None = None) -> dict[str, Any]:
    """`broker` None: the accounts at all of them."""
    accounts = person.accounts if broker is None else person.at(broker)
    return {
        "login": person.login,
        "now": WORLD.clock.now().isoformat(),
        "market_date": WORLD.clock.today().isoformat(),
        "accounts": [of_account(account) for account in accounts],
    }


def of_account(account: Account) -> dict[str, Any]:
    """Totals are in the account's own `currency`, `balances` in each it has.

    `hash` is the name by which the broker's API knows the account. Transactions come oldest first, all of them.
    """
    today = WORLD.clock.today()
    positions = valued(account, WORLD.market, today)
    return {
        "broker": account.broker,
        "number": account.number,
        "hash": WORLD.sides[account.broker].external_id(account),
        "name": account.name,
        "margin": account.margin,
        "currency": account.currency,
        "cash": text(account.cash),
        "balances": {currency: text(amount) for currency, amount in account.balances.items()},
        "value": text(worth(account, positions, WORLD.market, today)),
        "positions": [_position(position) for position in positions],
        "transactions": [transaction(event) for event in account.events],
    }


def _position(position: Valued) -> dict[str, Any]:
    """`price` is per unit as quoted; value = quantity x price x multiplier, rounded to the cent."""
    instrument = position.instrument
    return {
        "symbol": instrument.symbol,
        "name": instrument.name,
        "cusip": instrument.cusip,
        "asset_class": instrument.asset_class.value,
        "quantity": text(position.quantity),
        "multiplier": text(instrument.multiplier),
        "price": text(position.price),
        "market_value": text(position.value),
        "average_cost": text(position.holding.average_cost.quantize(Decimal("0.0001"))),
        "currency": instrument.currency,
    }


def transaction(event: Event) -> dict[str, Any]:
    """A row without an instrument moved has no quantity; one without a price has none. Null is not zero."""
    moves_asset = bool(event.symbol and event.quantity)
    return {
        "activity_id": str(event.id),
        "kind": event.nature.kind.value,
        "nature": event.nature.value,
        "occurred_at": event.at.isoformat(),
        "posted_at": event.posted_at.isoformat(),
        "traded_on": event.traded_on.isoformat(),
        "settled_on": event.settled_on.isoformat(),
        "symbol": event.symbol,
        "quantity": text(event.quantity) if moves_asset else None,
        "price": text(event.price) if moves_asset and event.price is not None else None,
        "fees": text(event.fee_total),
        "net_amount": text(event.cash),
        "currency": event.currency,
        "fee_currency": event.fee_currency or event.currency,
        "other_cash": [{"currency": currency, "amount": text(amount)} for currency, amount in event.other_cash],
        "order_id": str(event.order) if event.order else None,
        "status": event.status.value,
    }


def text(number: Decimal) -> str:
    return f"{number + 0:f}"
