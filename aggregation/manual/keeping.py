"""What a person says about an account they keep themselves, by hand or by file. All of it goes through the ledger.

The ledger takes what an account holds as a whole; so each change here is the whole as it was, with one thing changed.
Everything keeps the moment it was said at: a price of last month stays of last month when the cash is corrected today.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from aggregation import ledger
from aggregation.instruments import resolve
from aggregation.models import Balance, Instrument, Position, Source, Transaction
from aggregation.valuation import known_sum
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from connections import connection_manager
from connections.brokers.records import (
    AssetClass,
    BalanceRecord,
    Broker,
    Holdings,
    InstrumentRecord,
    PositionRecord,
    TransactionRecord,
)
from connections.models import Account, Connection

ZERO = Decimal(0)
HAND = "hand-"  # how the external id of an account begins that was made by hand
BY_HAND = {"by": "hand"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One position as the person says it: `average_cost` and `price` per unit, None when they do not know."""

    instrument: InstrumentRecord
    quantity: Decimal
    price: Decimal | None
    average_cost: Decimal | None
    at: datetime


def may_keep(account: Account) -> bool:
    """Whether the person, and no broker, says what this account holds."""
    return account.connection.is_file and account.closed_on is None


def is_by_hand(account: Account) -> bool:
    """Made by hand, with a connection of its own; others were made for a file."""
    return account.external_id.startswith(HAND)


@transaction.atomic
def open_account(*, user: User, name: str, institution: str, currency: str, kind: str) -> Account:
    """A new account, alone in its connection, so that it can be removed by itself. Raises NotAllowed for a name that
    is taken."""
    label = f"{name} at {institution}, by hand" if institution else f"{name}, by hand"
    if Connection.objects.for_user(user).filter(label=label).exists():
        raise NotAllowed("You have an account of that name already.")
    connection = connection_manager.ensure_file_connection(user=user, broker=Broker.OTHER, label=label[:80])
    account: Account = connection.accounts.create(
        external_id=f"{HAND}{uuid.uuid4()}", name=name, kind=kind, currency=currency
    )
    return account


def remove_counts(account: Account) -> dict[str, int]:
    """What removing would delete: {"accounts": 1, "transactions": 12, ...}."""
    return connection_manager.disconnect_counts(account.connection)


def remove(account: Account, *, user: User) -> dict[str, int]:
    """Delete the account with all that was written in it; how many rows of each kind. Raises NotAllowed."""
    if not is_by_hand(account):
        raise NotAllowed("This account came with a file. Remove its connection to delete it.")
    receipt = connection_manager.disconnect(connection=account.connection, actor=user, keep_history=False)
    return receipt.rows


# --- What is held -----------------------------------------------------------------------------------------------------
@transaction.atomic
def hold(account: Account, held: Held, *, instead_of: int | None = None) -> None:
    """Say what is held of an instrument; none of it any more when the quantity is 0. `instead_of` is the id of the
    instrument whose position this one replaces."""
    _lock(account)
    instrument = _resolved(held.instrument)
    stay = [record for pk, record in _positions(account) if pk not in {instrument.pk, instead_of}]
    if held.quantity:
        stay.append(_record(replace(held, instrument=_named(instrument))))
    _say(account, stay, _cash(account))


@transaction.atomic
def close(account: Account, instrument_id: int) -> None:
    """Nothing is held of it any more; the position's row stays, with the day it was closed."""
    _lock(account)
    _say(account, [record for pk, record in _positions(account) if pk != instrument_id], _cash(account))


@transaction.atomic
def set_cash(account: Account, *, currency: str, amount: Decimal | None) -> None:
    """Say how much cash there is in a currency; None when there is no such cash any more."""
    _lock(account)
    cash = _cash(account)
    cash.pop(currency, None)
    if amount is not None:
        cash[currency] = (amount, timezone.now())
    _say(account, [record for _, record in _positions(account)], cash)


@transaction.atomic
def write_down(account: Account, record: TransactionRecord, *, also_change_holdings: bool) -> Transaction:
    """Book a transaction by hand; with `also_change_holdings` the units and the cash follow it.

    A record with an external id that is known replaces the row, which is kept; holdings are left as they are then.
    """
    _lock(account)
    is_new = not record.external_id
    if is_new:
        record = replace(record, external_id=f"{HAND}{uuid.uuid4()}")
    ledger.book(account=account, records=[record], source=Source.MANUAL, run_id=None)
    if is_new and also_change_holdings:
        _follow(account, record)
    return Transaction.objects.current().get(account=account, source=Source.MANUAL, external_id=record.external_id)


def _follow(account: Account, record: TransactionRecord) -> None:
    """Units and cash as they are after `record`. A purchase changes the average cost, a sale does not."""
    now, cash = timezone.now(), _cash(account)
    before, _ = cash.get(record.currency, (ZERO, now))
    cash[record.currency] = None if before is None else before + record.net_amount, now
    positions = dict(_positions(account))
    if record.instrument is not None and record.quantity:
        instrument = _resolved(record.instrument)
        after = _after(positions.pop(instrument.pk, None), replace(record, instrument=_named(instrument)), now)
        if after.quantity:
            positions[instrument.pk] = after
    _say(account, list(positions.values()), cash)


def _after(known: PositionRecord | None, record: TransactionRecord, now: datetime) -> PositionRecord:
    assert record.instrument is not None
    change, had = record.quantity or ZERO, known.quantity if known else ZERO
    price = record.price if record.price is not None else known.price if known else None
    return _record(
        Held(
            instrument=known.instrument if known else record.instrument,
            quantity=had + change,
            price=price,
            average_cost=_cost_after(known, record),
            at=now,
        )
    )


def _cost_after(known: PositionRecord | None, record: TransactionRecord) -> Decimal | None:
    change, had = record.quantity or ZERO, known.quantity if known else ZERO
    before = known.average_cost if known else None
    if had * change < 0:  # less than before: what is left has cost what it cost
        return before
    multiplier = record.instrument.multiplier if record.instrument else Decimal(1)
    paid = abs(record.net_amount) / abs(change) / multiplier if record.net_amount else record.price
    if not had:
        return paid
    if before is None or paid is None:
        return None
    return (had * before + change * paid) / (had + change)


# --- The whole, as it is ----------------------------------------------------------------------------------------------
Cash = dict[str, tuple[Decimal | None, datetime]]


def _lock(account: Account) -> None:
    if not may_keep(account):
        raise NotAllowed("The broker says what this account holds; it cannot be changed by hand.")
    ledger.hold(account)


def _positions(account: Account) -> Iterable[tuple[int, PositionRecord]]:
    rows = Position.objects.held().filter(account=account).select_related("instrument").order_by("pk")
    return [(row.instrument_id, _record(_as_said(row))) for row in rows]


def _as_said(row: Position) -> Held:
    return Held(
        instrument=_named(row.instrument),
        quantity=row.quantity,
        price=row.price,
        average_cost=row.average_cost,
        at=row.as_of,
    )


def _resolved(record: InstrumentRecord) -> Instrument:
    return Instrument.objects.get(pk=resolve([record])[record])


def _named(instrument: Instrument) -> InstrumentRecord:
    """As the books know it, which may be more than the person said: what one unit of it is worth, for instance."""
    return InstrumentRecord(
        asset_class=AssetClass(instrument.asset_class),
        symbol=instrument.symbol,
        currency=instrument.currency,
        name=instrument.name,
        cusip=instrument.cusip,
        isin=instrument.isin,
        underlying=instrument.underlying,
        multiplier=instrument.multiplier,
    )


def _record(held: Held) -> PositionRecord:
    value = None if held.price is None else held.quantity * held.price * held.instrument.multiplier
    return PositionRecord(
        instrument=held.instrument,
        quantity=held.quantity,
        average_cost=held.average_cost,
        price=held.price,
        market_value=value,
        day_change=None if value is None else Decimal(0),  # a price put in by hand does not move by itself
        currency=held.instrument.currency,
        as_of=held.at,
        raw=BY_HAND,
    )


def _cash(account: Account) -> Cash:
    return {
        row.currency: (row.cash, row.as_of) for row in Balance.objects.filter(account=account) if row.cash is not None
    }


def _say(account: Account, positions: list[PositionRecord], cash: Cash) -> None:
    """One balance for each currency there is cash or a position in; without a word about cash there is none."""
    now = timezone.now()
    currencies = sorted({*cash, *(record.currency for record in positions)})
    balances = tuple(_balance(currency, positions, cash, now) for currency in currencies)
    holdings = Holdings(as_of=now, positions=tuple(positions), balances=balances)
    ledger.record_holdings(account=account, holdings=holdings, run_id=None)


def _balance(currency: str, positions: list[PositionRecord], cash: Cash, now: datetime) -> BalanceRecord:
    amount, at = cash.get(currency, (ZERO, now))
    held = [record for record in positions if record.currency == currency]
    value = known_sum([ZERO, *(record.market_value for record in held)])
    moments = [*([at] if currency in cash else []), *(record.as_of for record in held if record.as_of is not None)]
    return BalanceRecord(
        currency=currency,
        cash=amount,
        market_value=value,
        net_asset_value=known_sum([amount, value]),
        as_of=min(moments, default=now),
        raw=BY_HAND,
    )
