"""Matches what left with what came: events in order into open and closed lots. Pure; no queries; exact.

Units and cost are conserved: what comes in is open, closed, or carried on into something else, to the last digit. A
cost nobody told is None with a reason, and so is every gain that rests on it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, localcontext

from aggregation.lots import events as happened
from aggregation.lots.events import ZERO, Event, Place
from aggregation.lots.pool import UNIT_STEP, Lot, Pool, known_portion, portion
from aggregation.lots.words import Method, Term, Why, term_of

Picks = Mapping[int, Sequence[tuple[int, Decimal]]]  # key of a sale -> (key of a lot, units)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A lot, or part of one, and what ended it. `quantity` and `cost` signed as the lot's, `cash` what closing moved.

    `quantity` is 0 where cash came for units that stayed: boot of a merger, capital repaid beyond the cost.
    """

    key: int  # the ledger row that closed it
    lot: int  # the ledger row that opened it, 0 when none did
    place: Place
    opened_on: date | None
    closed_on: date
    quantity: Decimal
    cost: Decimal | None
    cash: Decimal | None
    currency: str
    why: Why = Why.KNOWN

    @property
    def is_short_sale(self) -> bool:
        return self.quantity < 0

    @property
    def gain(self) -> Decimal | None:
        return None if self.why or self.cash is None or self.cost is None else self.cash - self.cost

    @property
    def proceeds(self) -> Decimal | None:
        """What selling brought, whether it came first or last."""
        if not self.is_short_sale:
            return self.cash
        return None if self.cost is None else -self.cost

    @property
    def basis(self) -> Decimal | None:
        """What buying took, whether it came first or last."""
        if not self.is_short_sale:
            return self.cost
        return None if self.cash is None else -self.cash

    @property
    def term(self) -> Term:
        return term_of(self.opened_on, self.closed_on, is_short_sale=self.is_short_sale)


@dataclass(frozen=True, slots=True)
class Carried:
    """What left a place with its cost: by transfer, into the shares of an option, into another instrument."""

    key: int
    lot: Lot


@dataclass(slots=True)
class Books:
    """`carried` is what went elsewhere with its cost; what arrived there is among the lots again."""

    open: list[Lot] = field(default_factory=list)
    closed: list[Closed] = field(default_factory=list)
    carried: list[Carried] = field(default_factory=list)


def match(events: Sequence[Event], *, method: Method = Method.FIFO, picks: Picks | None = None) -> Books:
    """Open and closed lots after all `events`, which are in order, of any number of accounts.

    `picks` count for `Method.SPECIFIC` only.
    """
    with localcontext() as context:
        context.prec = 60
        matching = _Matching(events, method, (picks or {}) if method is Method.SPECIFIC else {})
        for event in events:
            matching.apply(event)
        matching.books.open = [lot for pool in matching.pools.values() for lot in sorted(pool.lots, key=_by_age)]
    return matching.books


def _by_age(lot: Lot) -> tuple[date, int]:
    return lot.opened_on or date.min, lot.number


class _Matching:
    def __init__(self, events: Sequence[Event], method: Method, picks: Picks) -> None:
        self.books = Books()
        self.pools: dict[Place, Pool] = defaultdict(lambda: Pool(method))
        self.picks = picks
        self.leaves = {event.key: event for event in events if isinstance(event, happened.Leave)}
        self.on_the_way: dict[int, list[Lot]] = {}
        self.premiums: dict[int, Decimal | None] = {}
        self.count = 0

    def apply(self, event: Event) -> None:
        match event:
            case happened.Trade():
                self.trade(event)
            case happened.Held():
                self.add(event, event.quantity, None, why=event.why, opened_on=None, key=0)
            case happened.Delivery():
                self.deliver(event)
            case happened.Split():
                self.split(event)
            case happened.Lieu():
                self.close(event, None, ZERO, None, event.cash, Why.FRACTION)
            case happened.Shrink():
                self.shrink(event)
            case happened.Repaid():
                self.repay(event)
            case happened.Leave():
                self.leave(event)
            case happened.Arrive():
                self.arrive(event)
            case happened.Exchange():
                self.exchange(event)
            case happened.SpinOff():
                self.spin_off(event)

    # What every event does

    def add(
        self, event: Event, quantity: Decimal, cost: Decimal | None, *, why: Why, opened_on: date | None, key: int,
        place: Place | None = None,
    ) -> None:  # fmt: skip
        self.count += 1
        place = place or event.place
        lot = Lot(key, place, opened_on, quantity, cost, event.currency, why if cost is None else Why.KNOWN, self.count)
        self.pools[place].add(lot)

    def close(
        self, event: Event, lot: Lot | None, quantity: Decimal, cost: Decimal | None, cash: Decimal | None, why: Why
    ) -> None:
        self.books.closed.append(
            Closed(
                key=event.key, lot=lot.key if lot else 0, place=event.place, opened_on=lot.opened_on if lot else None,
                closed_on=event.on, quantity=quantity, cost=cost, cash=cash, currency=event.currency, why=why,
            )
        )  # fmt: skip

    def take(self, event: Event, quantity: Decimal) -> list[Lot]:
        """Units as they were held, signed; what no lot explains comes as one of unknown cost."""
        pool = self.pools[event.place]
        pieces = pool.take(abs(quantity), self.picks.get(event.key, ())) if pool.quantity * quantity > 0 else []
        missing = quantity - sum((piece.quantity for piece in pieces), ZERO)
        if missing:
            pieces.append(Lot(0, event.place, None, missing, None, event.currency, Why.BEFORE))
        return pieces

    def carry(self, event: Event, pieces: Sequence[Lot]) -> None:
        self.books.carried += [Carried(event.key, piece) for piece in pieces]

    # One method for each kind of event

    def trade(self, event: happened.Trade) -> None:
        premium = self.premiums.pop(event.key, ZERO)
        why = Why.DELIVERED if premium is None else event.why
        cash = None if event.cash is None or premium is None else event.cash - premium
        pool = self.pools[event.place]
        units = event.quantity
        closing = min(abs(units), abs(pool.quantity)) if pool.quantity * units < 0 else ZERO
        if not event.may_open:
            closing = abs(units)
        for piece in self.take(event, closing if units < 0 else -closing) if closing else ():
            part = known_portion(cash, -piece.quantity, units)
            reason = piece.why or (why if cash is None else Why.KNOWN)
            if not reason and piece.currency != event.currency:
                reason = Why.CURRENCY
            self.close(event, piece, piece.quantity, piece.cost, part, reason)
            units += piece.quantity
            cash = None if cash is None or part is None else cash - part
        if units:
            self.add(event, units, None if cash is None else -cash, why=why, opened_on=event.on, key=event.key)

    def deliver(self, event: happened.Delivery) -> None:
        pieces = self.take(event, -event.quantity)
        self.carry(event, pieces)
        costs = [piece.cost for piece in pieces]
        premium = None if None in costs else sum((cost for cost in costs if cost is not None), ZERO)
        left = sum((abs(units) for _, units in event.into), ZERO)
        for key, units in event.into:
            part = known_portion(premium, abs(units), left)
            so_far = self.premiums.get(key, ZERO)
            self.premiums[key] = None if so_far is None or part is None else so_far + part
            premium = None if premium is None or part is None else premium - part
            left -= abs(units)

    def split(self, event: happened.Split) -> None:
        pool = self.pools[event.place]
        fraction = pool.quantity * (event.ratio - 1) - event.added if event.ratio and event.cash else ZERO
        if abs(fraction) >= 1 or fraction * pool.quantity < 0:
            fraction = ZERO  # the broker's units and the ratio do not belong together
        if not pool.scale(event.added + fraction):
            self.units_from_nowhere(event)
        if fraction:
            self.trade(
                happened.Trade(
                    key=event.key, place=event.place, on=event.on, currency=event.currency, quantity=-fraction,
                    cash=event.cash, may_open=False,
                )
            )  # fmt: skip
        elif event.cash:
            self.close(event, None, ZERO, None, event.cash, Why.FRACTION)

    def units_from_nowhere(self, event: happened.Split) -> None:
        if event.added < 0:
            for piece in self.take(event, -event.added):
                self.close(event, piece, piece.quantity, piece.cost, None, Why.EXCHANGED)
        else:
            self.add(event, event.added, None, why=Why.EXCHANGED, opened_on=None, key=event.key)

    def shrink(self, event: happened.Shrink) -> None:
        if missing := self.pools[event.place].shrink(event.quantity):
            for piece in self.take(event, missing):
                self.close(event, piece, piece.quantity, piece.cost, None, piece.why or Why.UNTOLD)

    def repay(self, event: happened.Repaid) -> None:
        pool, cash = self.pools[event.place], event.cash
        if not pool.lots:
            self.close(event, None, ZERO, None, cash, Why.BEFORE)
            return
        left = pool.quantity
        for lot in pool.lots:
            part = portion(cash, lot.quantity, left)
            cash, left = cash - part, left - lot.quantity
            if lot.cost is None:
                continue
            beyond = max(part - lot.cost, ZERO) if lot.quantity > 0 else ZERO
            lot.cost -= part - beyond
            if beyond:
                self.close(event, lot, ZERO, ZERO, beyond, Why.KNOWN)
        pool.again_in_order()

    def leave(self, event: happened.Leave) -> None:
        if event.key in self.on_the_way:
            return  # what it sent was told earlier, where it arrived
        pieces = self.take(event, event.quantity)
        self.carry(event, pieces)
        self.on_the_way[event.key] = pieces

    def arrive(self, event: happened.Arrive) -> None:
        pieces: list[Lot] = []
        if event.source is not None and event.source in self.leaves:
            self.leave(self.leaves[event.source])
            pieces = self.on_the_way[event.source]
        left = event.quantity
        while pieces and left:
            piece = pieces.pop(0)
            if abs(piece.quantity) > left:
                whole = Pool(Method.FIFO)
                whole.add(piece)
                (taken,) = whole.take(left)
                pieces[:0] = whole.lots
                piece = taken
            left -= abs(piece.quantity)
            why = piece.why or Why.TRANSFERRED
            self.add(event, piece.quantity, piece.cost, why=why, opened_on=piece.opened_on, key=event.key)
        if left:
            self.add(event, left, None, why=Why.TRANSFERRED, opened_on=None, key=event.key)

    def exchange(self, event: happened.Exchange) -> None:
        pieces = self.take(event, event.quantity)
        self.carry(event, pieces)
        units, cash = event.quantity, event.cash
        left = [received.quantity for received in event.received]
        for piece in pieces:
            boot = portion(cash, piece.quantity, units)
            part = [portion(quantity, piece.quantity, units, UNIT_STEP) for quantity in left]
            cost = self._after_boot(event, piece, boot, part)
            for received, quantity, given in zip(event.received, part, _shared(cost, event.received), strict=True):
                place = Place(event.place.account, received.instrument)
                why = piece.why or Why.EXCHANGED
                self.add(event, quantity, given, why=why, opened_on=piece.opened_on, key=event.key, place=place)
            units, cash = units - piece.quantity, cash - boot
            left = [quantity - taken for quantity, taken in zip(left, part, strict=True)]

    def _after_boot(
        self, event: happened.Exchange, piece: Lot, boot: Decimal, part: Sequence[Decimal]
    ) -> Decimal | None:
        """The cost that goes on. Of the gain, as much as came in cash counts now. Source: 26 USC 356(a), 358(a)."""
        if not boot:
            return piece.cost
        values = [received.value for received in event.received]
        if piece.cost is None or None in values:
            self.close(event, piece, ZERO, None, boot, piece.why or Why.EXCHANGED)
            return None
        worth = sum((units * value for units, value in zip(part, values, strict=True) if value is not None), ZERO)
        counted = max(ZERO, min(boot, worth + boot - piece.cost))
        self.close(event, piece, ZERO, boot - counted, boot, Why.KNOWN)
        return piece.cost - (boot - counted)

    def spin_off(self, event: happened.SpinOff) -> None:
        """Unknown, the share makes the cost of both unknown: the parent's own is no longer what it was."""
        pool, received = self.pools[event.place], event.received
        units, left = pool.quantity, received.quantity
        place = Place(event.place.account, received.instrument)
        for lot in pool.lots:
            quantity = portion(left, lot.quantity, units, UNIT_STEP)
            units, left = units - lot.quantity, left - quantity
            given = None
            if lot.cost is not None and received.share is not None:
                given = portion(lot.cost, received.share, Decimal(1))
            why = lot.why or Why.SPIN_OFF
            self.add(event, quantity, given, why=why, opened_on=lot.opened_on, key=event.key, place=place)
            lot.cost = None if lot.cost is None or given is None else lot.cost - given
            lot.why = why if lot.cost is None else Why.KNOWN
        if left:
            self.add(event, left, None, why=Why.SPIN_OFF, opened_on=None, key=event.key, place=place)
        pool.again_in_order()


def _shared(cost: Decimal | None, received: Sequence[happened.Received]) -> list[Decimal | None]:
    """The cost over what was received: by the shares entered, else by value; all of it where it is one thing."""
    if cost is None:
        return [None] * len(received)
    shares: list[Decimal | None] = [Decimal(1)] if len(received) == 1 else [each.share for each in received]
    if None in shares:
        shares = [None if each.value is None else each.value * each.quantity for each in received]
    weights = [share for share in shares if share is not None]
    if len(weights) < len(shares) or not sum(weights):
        return [None] * len(received)
    given, left, over = [], cost, sum(weights, ZERO)
    for weight in weights:
        part = portion(left, weight, over)
        given.append(part)
        left, over = left - part, over - weight
    return list(given)
