"""A person names the lots that go with a sale. What they do not name goes first in, first out."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

from django.db import transaction

from aggregation.lots.engine import match
from aggregation.lots.events import ZERO
from aggregation.lots.models import LotPick
from aggregation.lots.picking import picks_of
from aggregation.lots.pool import Lot
from aggregation.lots.reading import events_of
from aggregation.lots.service import told_of
from aggregation.lots.words import Method
from aggregation.models import Transaction
from aggregation.serializers import plain
from aggregation.valuation import known_sum
from brokerhub.kernel.errors import NotAllowed
from connections.models import Account


@dataclass(frozen=True, slots=True)
class Choosable:
    """What one row had opened and was left before a sale (positive), and how much of it is picked for the sale."""

    key: int
    opened_on: date | None
    quantity: Decimal
    cost: Decimal | None
    picked: Decimal | None
    taken: Decimal  # as things are, by picks and by age

    @property
    def picked_text(self) -> str:
        return plain(self.picked) or ""


def choice(sale: Transaction) -> list[Choosable]:
    """The lots in the sale's place right before it, oldest first; none when it is no sale of lots."""
    accounts = list(
        Account.objects.filter(connection__user=sale.account.connection.user_id).values_list("pk", flat=True)
    )
    events, picks = events_of(told_of(accounts)), picks_of(accounts)
    number = next((number for number, event in enumerate(events) if event.key == sale.pk), None)
    if number is None:
        return []
    before = match(events[:number], method=Method.SPECIFIC, picks=picks)
    after = match(events[: number + 1], method=Method.SPECIFIC, picks=picks)
    picked = dict(picks.get(sale.pk, ()))
    taken: dict[int, Decimal] = defaultdict(Decimal)
    for closed in after.closed:
        if closed.key == sale.pk:
            taken[closed.lot] += abs(closed.quantity)
    lots: dict[int, list[Lot]] = defaultdict(list)
    for lot in before.open:
        if lot.place == events[number].place:
            lots[lot.key].append(lot)
    return [
        Choosable(
            key=key,
            opened_on=same[0].opened_on,
            quantity=sum((abs(lot.quantity) for lot in same), ZERO),
            cost=known_sum(lot.cost for lot in same),
            picked=picked.get(key),
            taken=taken[key],
        )
        for key, same in lots.items()
    ]


def understood(given: Mapping[str, str]) -> dict[int, Decimal]:
    """Units by lot from what was typed; lines left empty are no picks. Raises NotAllowed."""
    wanted: dict[int, Decimal] = {}
    for key, text in given.items():
        if not text.strip():
            continue
        try:
            units = Decimal(text.strip())
        except InvalidOperation:
            units = Decimal("NaN")
        if not key.isdigit() or not units.is_finite() or units < 0:
            raise NotAllowed(f"{text.strip()[:20]} is not a number of units.")
        if units:
            wanted[int(key)] = units
    return wanted


@transaction.atomic
def pick(sale: Transaction, wanted: Mapping[int, Decimal], lots: Sequence[Choosable]) -> None:
    """Make `wanted`, units by lot, what goes with this sale; an empty one takes it back. Raises NotAllowed."""
    there = {lot.key: lot.quantity for lot in lots}
    for key, units in wanted.items():
        if not key or units > there.get(key, 0):
            raise NotAllowed(f"There were not {units.normalize():f} units in that lot when you sold.")
    if sum(wanted.values(), Decimal(0)) > abs(sale.quantity or Decimal(0)):
        raise NotAllowed(f"You sold {abs(sale.quantity or Decimal(0)).normalize():f} units, and picked more.")
    LotPick.objects.filter(sale=sale).delete()
    LotPick.objects.bulk_create(
        LotPick(account_id=sale.account_id, sale=sale, lot_id=key, quantity=units) for key, units in wanted.items()
    )
