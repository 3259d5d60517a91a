"""A person's lots over all their accounts, worked out from the ledger: one pass, the same number of queries always."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from zoneinfo import ZoneInfo

from django.utils import timezone

from aggregation.lots.actions import Detail
from aggregation.lots.engine import Books, Closed, match
from aggregation.lots.events import Place
from aggregation.lots.picking import picks_of
from aggregation.lots.pool import Lot
from aggregation.lots.reading import Reported, Told, events_of
from aggregation.lots.rows import rows_of
from aggregation.lots.words import Method, Term, Why, term_of
from aggregation.models import Balance, CorporateAction, Instrument, Position, TransferLink
from brokerhub.kernel.models import User
from connections.models import Account

MARKET = ZoneInfo("America/New_York")


@dataclass(frozen=True, slots=True)
class OpenLot:
    """A lot still held. `cost` is its signed cash in all, `per_unit` what one unit cost; None is unknown, see `why`."""

    account: Account
    instrument: Instrument
    lot: Lot

    @property
    def per_unit(self) -> Decimal | None:
        lot = self.lot
        return None if lot.cost is None else lot.cost / lot.quantity / self.instrument.multiplier

    @property
    def why(self) -> Why:
        return Why(self.lot.why)

    @property
    def term(self) -> Term:
        """What selling it today would be."""
        return term_of(self.lot.opened_on, timezone.localdate(), is_short_sale=self.lot.quantity < 0)


@dataclass(frozen=True, slots=True)
class Gain:
    """A closed lot of one account, with what it was."""

    account: Account
    instrument: Instrument
    closed: Closed

    @property
    def why(self) -> Why:
        return Why(self.closed.why)


@dataclass
class Lots:
    """`accounts` are those asked for; what moved between them and others has been followed all the same."""

    books: Books
    accounts: dict[int, Account]

    @cached_property
    def instruments(self) -> dict[int, Instrument]:
        wanted = {lot.place.instrument for lot in self.books.open}
        wanted |= {closed.place.instrument for closed in self.books.closed}
        return Instrument.objects.in_bulk(wanted)

    def has(self, instruments: Collection[int]) -> bool:
        """Whether any of the accounts has, or had, lots of one of the instruments."""
        places = {lot.place for lot in self.books.open} | {each.place for each in self.books.closed}
        return any(place.instrument in instruments and place.account in self.accounts for place in places)

    @cached_property
    def open(self) -> list[OpenLot]:
        """By instrument and account, oldest first."""
        shown = [
            OpenLot(self.accounts[lot.place.account], self.instruments[lot.place.instrument], lot)
            for lot in self.books.open
            if lot.place.account in self.accounts
        ]
        return sorted(
            shown,
            key=lambda each: (each.instrument.symbol, each.account.pk, each.lot.opened_on or date.min, each.lot.number),
        )

    @cached_property
    def closed(self) -> list[Gain]:
        """Newest first."""
        shown = [
            Gain(self.accounts[closed.place.account], self.instruments[closed.place.instrument], closed)
            for closed in self.books.closed
            if closed.place.account in self.accounts
        ]
        return sorted(shown, key=lambda gain: (gain.closed.closed_on, gain.closed.key), reverse=True)


def lots_of(user: User, *, method: Method = Method.FIFO, accounts: Iterable[Account] | None = None) -> Lots:
    """Of `accounts`, which are the user's, or of all. What is shown of some rests on the books of all."""
    own = {account.pk: account for account in Account.objects.for_user(user).select_related("connection")}
    wanted = own if accounts is None else {account.pk: own[account.pk] for account in accounts}
    picks = picks_of(own) if method is Method.SPECIFIC else {}
    return Lots(match(events_of(told_of(own)), method=method, picks=picks), wanted)


def told_of(accounts: Collection[int]) -> Told:
    """Everything the hub knows of the units in these accounts, all of one person."""
    return Told(
        rows=rows_of(accounts),
        reported=reported(accounts),
        reporting=reporting(accounts),
        links=links(accounts),
        details=details(accounts),
    )


def links(accounts: Collection[int]) -> dict[int, int]:
    """The row by which units arrived, and the one by which they had left. One query."""
    joined = TransferLink.objects.joined().filter(incoming__account__in=accounts)
    return dict(joined.values_list("incoming_id", "outgoing_id"))


def details(accounts: Collection[int]) -> list[Detail]:
    """What the accounts' owner entered of corporate actions. One query."""
    entered = CorporateAction.objects.standing().filter(applied__account__in=accounts).distinct().order_by("pk")
    return [
        Detail(
            kind=action.kind, group=action.group, instrument=action.instrument_id, received=action.received_id,
            on=action.on, ratio=action.ratio, share=action.cost_share, value=action.value_per_unit,
        )
        for action in entered
    ]  # fmt: skip


def reported(accounts: Iterable[int]) -> dict[Place, Reported]:
    """What brokers say of each instrument they ever reported; 0 since the day they stopped. One query."""
    wanted = list(accounts)
    fields = ("account_id", "instrument_id", "quantity", "as_of", "closed_at", "currency")
    found: dict[Place, Reported] = {}
    for account, instrument, quantity, as_of, closed_at, currency in Position.objects.filter(
        account__in=wanted
    ).values_list(*fields):
        held = Decimal(0) if closed_at else quantity
        found[Place(account, instrument)] = Reported(held, market_day(closed_at or as_of), currency)
    return found


def reporting(accounts: Iterable[int]) -> dict[int, date]:
    """The accounts whose brokers say what is held, and the day of the last report."""
    rows = Balance.objects.filter(account__in=list(accounts)).values_list("account_id", "as_of")
    days: dict[int, date] = {}
    for account, as_of in rows:
        days[account] = max(market_day(as_of), days.get(account, date.min))
    return days


def market_day(at: datetime) -> date:
    return at.astimezone(MARKET).date()
