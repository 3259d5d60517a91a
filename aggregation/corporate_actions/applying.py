"""Preview, apply, take back. An account whose broker tells the action itself gets no rows of ours."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.db import connection, transaction
from django.utils import timezone

from aggregation import standing
from aggregation.corporate_actions.effects import Move, moves
from aggregation.corporate_actions.models import AppliedAction, CorporateAction
from aggregation.corporate_actions.standing import WITHIN_DAYS
from aggregation.ledger import book, hold
from aggregation.models import Instrument, Source, Transaction
from aggregation.reconciliation import comparing
from aggregation.reconciliation.derived import quantities
from brokerhub.kernel.errors import NotAllowed
from connections.brokers.records import AssetClass, InstrumentRecord, TransactionKind, TransactionRecord
from connections.models import Account

WITHIN = timedelta(days=WITHIN_DAYS)
ACTIONS = (TransactionKind.SPLIT, TransactionKind.CORPORATE_ACTION)


@dataclass(frozen=True, slots=True)
class Effect:
    """What applying would do in one account. `told` is true where the broker's own rows are there already."""

    account: Account
    units: Decimal
    moves: list[Move]
    told: bool


def preview(action: CorporateAction) -> list[Effect]:
    """In each of the person's accounts that held the instrument the evening before. The action need not be saved."""
    own = Account.objects.for_user(action.user).select_related("connection").defer("connection__sealed_credentials")
    accounts = {account.pk: account for account in own}
    held = quantities(accounts, on=action.on - timedelta(days=1))
    told = _told(action, accounts)
    return [
        Effect(accounts[account], units, list(moves(action, units)), account in told)
        for (account, instrument), units in sorted(held.items())
        if instrument == action.instrument_id
    ]


def _told(action: CorporateAction, accounts: Iterable[int]) -> set[int]:
    """Accounts in which a broker or file tells it, within days: they date such things differently."""
    rows = Transaction.objects.in_books().exclude(source=Source.MANUAL)
    near = rows.filter(kind__in=ACTIONS, traded_on__range=(action.on - WITHIN, action.on + WITHIN))
    instruments = [pk for pk in (action.instrument_id, action.received_id) if pk]
    return set(near.filter(account__in=list(accounts), instrument__in=instruments).values_list("account_id", flat=True))


@transaction.atomic
def apply(action: CorporateAction) -> list[Effect]:
    """Save the action and book it where it is missing. Raises NotAllowed: it has no effect, or was entered before."""
    same = CorporateAction.objects.for_user(action.user).standing().filter(kind=action.kind)
    near = same.filter(instrument=action.instrument_id, on__range=(action.on - WITHIN, action.on + WITHIN))
    if near.exclude(pk=action.pk).exists():
        raise NotAllowed("You have entered this already. Take that one back first to enter it anew.")
    effects = preview(action)
    if not effects:
        raise NotAllowed(f"None of your accounts held {action.instrument.title} on the evening before.")
    action.save()
    for effect in effects:
        booked = [] if effect.told else _book(action, effect)
        AppliedAction.objects.create(action=action, account=effect.account, booked=booked)
    comparing.request(effect.account.pk for effect in effects)
    return effects


def _book(action: CorporateAction, effect: Effect) -> list[int]:
    hold(effect.account)
    records = [_record(action, effect.account, number, move) for number, move in enumerate(effect.moves)]
    book(account=effect.account, records=records, source=Source.MANUAL, run_id=None)
    ids = [record.external_id for record in records]
    rows = Transaction.objects.filter(account=effect.account, source=Source.MANUAL, external_id__in=ids)
    return list(rows.order_by("pk").values_list("pk", flat=True))


def _record(action: CorporateAction, account: Account, number: int, move: Move) -> TransactionRecord:
    return TransactionRecord(
        external_id=f"{action.group}:{account.pk}:{number}",
        kind=move.kind,
        subtype=move.subtype,
        traded_on=action.on,
        instrument=_as_record(move.instrument),
        quantity=move.units,
        price=move.price,
        net_amount=move.cash,
        currency=action.currency,
        description=f"{action.get_kind_display()}, entered by hand",
        group_id=action.group,
        raw={"corporate_action": action.key.hex},
    )


def _as_record(instrument: Instrument) -> InstrumentRecord:
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


@transaction.atomic
def take_back(action: CorporateAction) -> None:
    """Its rows no longer count; they are kept, and nothing else changes. Twice changes nothing."""
    CorporateAction.objects.filter(pk=action.pk, undone_at=None).update(undone_at=timezone.now())
    _uphold(action)


def _uphold(action: CorporateAction) -> None:
    for applied in action.applied.select_related("account"):
        hold(applied.account)
        with connection.cursor() as cursor:
            standing.uphold(cursor, applied.account_id)
    comparing.request(applied.account_id for applied in action.applied.all())
