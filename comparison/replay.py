"""A history of orders priced at one plan after the other. Pure; 10,000 orders at 19 plans take under two seconds."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from comparison.costs import Tariff, cost, settled
from comparison.terms import OPTIONS, SHARES, ZERO, Asset, CostLine, Event, Rule, Volume


@dataclass(frozen=True, slots=True)
class Order:
    """What is priced as one. `fills` are given only when nobody knows whether they were one order: both ways count."""

    event: Event
    fills: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Placed:
    order: Order
    volume: Volume  # what the user had done before in the month


@dataclass(slots=True)
class ItemSum:
    """What one kind of line comes to over a history."""

    low: Decimal = ZERO
    high: Decimal = ZERO
    count: int = 0
    unknown: int = 0
    counted: bool = True
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def is_unknown(self) -> bool:
        """Nothing of it is known: the sums say nothing, not zero."""
        return bool(self.unknown) and not self.count


@dataclass(slots=True)
class PlanCost:
    """A history at one plan. `impossible`: how many events the plan cannot do, by reason; they are not in the sum."""

    ref: str
    items: dict[str, ItemSum] = field(default_factory=dict)
    impossible: Counter[str] = field(default_factory=Counter)
    priced: int = 0

    def add(self, line: CostLine) -> None:
        entry = self.items.get(line.item)
        if entry is None:
            entry = self.items[line.item] = ItemSum(counted=line.counted)
        if line.low is None or line.high is None:
            entry.unknown += 1
            entry.reasons[line.why] += 1
            return
        entry.count += 1
        if line.low:
            entry.low += line.low
        if line.high:
            entry.high += line.high

    @property
    def low(self) -> Decimal:
        return sum((entry.low for entry in self.items.values() if entry.counted), ZERO)

    @property
    def high(self) -> Decimal:
        return sum((entry.high for entry in self.items.values() if entry.counted), ZERO)

    @property
    def unknown(self) -> dict[str, ItemSum]:
        return {item: entry for item, entry in self.items.items() if entry.unknown and entry.counted}

    @property
    def is_partial(self) -> bool:
        return bool(self.impossible) or bool(self.unknown)


def with_more(own: PlanCost, more: PlanCost, share: Decimal) -> PlanCost:
    """`own` and, of `more`, the `share` that falls into the same time: 0.5 for half of it."""
    found = PlanCost(own.ref, impossible=own.impossible + more.impossible, priced=own.priced + more.priced)
    for item in own.items | more.items:
        one, other = own.items.get(item), more.items.get(item)
        entry = found.items[item] = ItemSum(counted=(one or other or ItemSum()).counted)
        for part, weight in ((one, Decimal(1)), (other, share)):
            if part is not None:
                entry.low, entry.high = entry.low + part.low * weight, entry.high + part.high * weight
                entry.count, entry.unknown = entry.count + part.count, entry.unknown + part.unknown
                entry.reasons += part.reasons
    return found


def one_order(fills: Sequence[Event]) -> Event:
    """Fills as the one order they may have been, at their average price."""
    quantity = sum((fill.quantity for fill in fills), ZERO)
    amount = sum((fill.amount for fill in fills), ZERO)
    notional = sum((fill.quantity * fill.price for fill in fills), ZERO)
    price = notional / quantity if quantity else ZERO
    paid = [fill.paid for fill in fills if fill.paid is not None]
    known = sum(paid, ZERO) if len(paid) == len(fills) else None
    return replace(fills[0], quantity=quantity, amount=amount, price=price, paid=known)


def orders(events: Iterable[Event]) -> list[Order]:
    """Events as orders: by the broker's order id; without one, fills of an account, day, symbol, side and open/close
    are one order or as many as there are fills."""
    groups: dict[object, list[Event]] = defaultdict(list)
    for event in events:
        if event.asset is None or event.asset is Asset.FX:
            groups[len(groups), "single"].append(event)
            continue
        key = (event.account, event.on, event.symbol, event.side, event.opening, event.order)
        groups[key].append(event)
    found = []
    for fills in groups.values():
        if len(fills) == 1:
            found.append(Order(fills[0]))
        else:
            found.append(Order(one_order(fills), () if fills[0].order else tuple(fills)))
    return sorted(found, key=lambda order: order.event.on)


def placed(found: Iterable[Order], trades: int = 0) -> list[Placed]:
    """Each order, in the order of dates, with what came before it in its month and quarter. The same for every plan.

    `trades`: how many of the first order's quarter came before, when a long history is placed month by month.
    """
    month: tuple[int, int] | None = None
    quarter: tuple[int, int] | None = None
    so_far = Volume()
    happened: Counter[str] = Counter()
    result = []
    for order in found:
        event = order.event
        if (event.on.year, event.on.month) != month:
            month, so_far, happened = (event.on.year, event.on.month), Volume(), Counter()
        if quarter_of(event.on) != quarter:
            trades = 0 if quarter is not None else trades
            quarter = quarter_of(event.on)
        volume = replace(so_far, trades_in_quarter=trades, happened=happened[event.item]) if event.item else so_far
        result.append(Placed(order, replace(volume, trades_in_quarter=trades) if trades else volume))
        so_far = _more(so_far, event)
        trades += event.side is not None
        if event.item:
            happened[event.item] += 1
    return result


def quarter_of(day: date) -> tuple[int, int]:
    return day.year, (day.month - 1) // 3


def _more(volume: Volume, event: Event) -> Volume:
    if event.asset in SHARES:
        return replace(volume, shares=volume.shares + event.quantity)
    if event.asset in OPTIONS:
        return replace(volume, contracts=volume.contracts + event.quantity)
    if event.asset is Asset.FX:
        return replace(volume, converted=volume.converted + event.amount)
    return volume


def lines_of(tariff: Tariff, one: Placed) -> list[CostLine]:
    """The lines of one order; where it may have been several, each amount is the range between both readings."""
    lines = cost(tariff, one.order.event, one.volume)
    if not one.order.fills:
        return lines
    apart: dict[str, list[CostLine]] = defaultdict(list)
    for fill in one.order.fills:
        for name, line in _by_name(cost(tariff, fill, one.volume)):
            apart[name].append(line)
    return [_either(line, apart[name], len(one.order.fills)) for name, line in _by_name(lines)]


def _by_name(lines: list[CostLine]) -> Iterator[tuple[str, CostLine]]:
    """The commission comes first, whatever rule it follows: a fraction of a share has another than the whole order."""
    return (("" if place == 0 else line.item, line) for place, line in enumerate(lines))


def _either(line: CostLine, apart: list[CostLine], fills: int) -> CostLine:
    lows = [other.low for other in apart if other.low is not None]
    highs = [other.high for other in apart if other.high is not None]
    if line.low is None or line.high is None or len(lows) < len(apart):
        return line
    low, high = sum(lows, ZERO), sum(highs, ZERO)
    if (low, high) == (line.low, line.high):
        return line
    why = f"as one order; as {fills} orders {low:f}"
    return line._replace(low=min(low, line.low), high=max(high, line.high), why=why)


def replay(tariff: Tariff, history: Iterable[Placed], into: PlanCost | None = None) -> PlanCost:
    """The history at one plan; added to `into` when it comes in parts (whole months: days are rounded as a whole)."""
    found = PlanCost(tariff.plan.ref) if into is None else into
    days: dict[tuple[str, date, str], list[Decimal]] = {}
    rules: dict[tuple[str, date, str], Rule] = {}
    add = found.add
    for one in history:
        event = one.order.event
        if reason := tariff.cannot(event):
            found.impossible[reason] += 1
            continue
        found.priced += 1
        for line in lines_of(tariff, one) if one.order.fills else cost(tariff, event, one.volume):
            add(line)
            if line.daily and line.low is not None:
                key = (event.account, event.on, line.daily)
                days.setdefault(key, []).append(line.low)
                rules[key] = line.rule
    for line in settled({key: (sum(amounts, ZERO), rules[key]) for key, amounts in days.items()}):
        add(line)
    return found


def every_line(tariff: Tariff, history: Iterable[Placed], item: str = "") -> Iterator[tuple[Event, CostLine]]:
    """The lines behind a sum, with what caused them: computed again when somebody opens an amount."""
    days: dict[tuple[str, date, str], tuple[Decimal, Rule]] = {}
    for one in history:
        event = one.order.event
        if tariff.cannot(event):
            continue
        for line in lines_of(tariff, one):
            if item and line.item != item:
                continue
            yield event, line
            if line.daily and line.low is not None:
                key = (event.account, event.on, line.daily)
                days[key] = (days[key][0] + line.low if key in days else line.low, line.rule)
    for (account, day, _), line in zip(sorted(days), settled(days), strict=True):
        yield Event(on=day, item=line.item, account=account), line
