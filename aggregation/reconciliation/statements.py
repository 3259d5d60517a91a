"""The identity of an account's month, read from the books: opening, rows, prices, rates. A fixed number of queries."""

from bisect import bisect_right
from calendar import monthrange
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, cast

from django.utils import timezone

from aggregation.ledger import market_date
from aggregation.models import (
    BalancePoint,
    DailyPrice,
    Instrument,
    PointBasis,
    PositionPoint,
    ReportedValue,
    Transaction,
)
from aggregation.rates.exchange import Exchange, Gap
from aggregation.reconciliation import derived
from aggregation.reconciliation.identity import (
    OUTSIDE,
    ZERO,
    Movement,
    NoPrice,
    Opening,
    Prices,
    Rates,
    Statement,
    Unit,
    flows,
    statements,
    together,
)
from aggregation.serializers import plain
from connections.brokers.records import AssetClass, TransactionKind
from connections.models import Account

FRESH = timedelta(days=5)  # a price is good over a long weekend
ONE_DAY = timedelta(days=1)
PARTS = ("start", "external", "exchanged", "income", "price_gain", "fx_gain", "unvalued", "fees", "taxes", "end")
LABELS = {
    "start": "Worth at the start",
    "external": "Paid in and out",
    "exchanged": "Exchanged with other currencies",
    "income": "Income",
    "price_gain": "Gain by prices",
    "fx_gain": "Gain by exchange rates",
    "unvalued": "Paid for positions without a price",
    "fees": "Fees",
    "taxes": "Taxes",
    "end": "Worth at the end",
}
PAID = ("fees", "taxes")  # positive when paid; shown with a minus


@dataclass(slots=True)
class MonthStatement:
    """`currencies` holds one statement each, to the cent; `whole` all of them in the account's currency, where it has
    more than one and all rates are known. `unvalued` positions have no price on a day that counts, and are left out.
    `gaps` say what else is missing. `said` is the broker's own figure of the last day, by currency, and `said_whole`
    that of all of them in the account's; both only where nothing is left out."""

    account: Account
    first: date
    last: date
    currencies: list[Statement] = field(default_factory=list)
    whole: Statement | None = None
    unvalued: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    said: dict[str, Decimal] = field(default_factory=dict)
    said_whole: Decimal | None = None

    def reported(self, statement: Statement) -> Decimal | None:
        """What the broker says at the end of one of these statements."""
        return self.said_whole if statement is self.whole else self.said.get(statement.currency)

    @property
    def tables(self) -> list[tuple[Statement, list[tuple[str, str, Decimal]], Decimal | None]]:
        """(statement, [(name, label, signed amount)], broker's figure) of all currencies, the whole first."""
        found = [] if self.whole is None else [self.whole]
        return [(each, list(_lines(each)), self.reported(each)) for each in (*found, *self.currencies)]


def _lines(statement: Statement) -> Iterator[tuple[str, str, Decimal]]:
    for name in PARTS:
        amount = getattr(statement, name)
        if amount or name in ("start", "end", "external", "income", "price_gain", "fees", "taxes"):
            yield name, LABELS[name], -amount if name in PAID else amount


def of_month(account: Account, month: date) -> MonthStatement:
    """The month that `month` lies in, up to today at most."""
    first = month.replace(day=1)
    today = market_date(account, timezone.now())
    last = min(month.replace(day=monthrange(month.year, month.month)[1]), max(today, first))
    made = MonthStatement(account, first, last)
    before = first - ONE_DAY
    cash = {currency: amount for (_, currency), amount in derived.cash([account], on=before).items()}
    held = {unit: amount for (_, unit), amount in derived.quantities([account], on=before).items()}
    rows = list(_movements(account, first, last))
    units = _units({*held, *(row.unit for row in rows if row.unit is not None)})
    prices = _prices(account, units, _days_needed(before, last, rows))
    missing = _without_price(held, rows, units, prices, before, last)
    made.unvalued = sorted(units[unit].title for unit in missing)
    units = {pk: unit for pk, unit in units.items() if pk not in missing}
    if not missing:
        made.said, made.said_whole = _said(account, last), _said_whole(account, last)
    opening = Opening(cash=cash, units=held)
    found = statements(opening=opening, rows=rows, units=units, prices=prices, first=first, last=last)
    made.currencies = [each.rounded() for each in found.values() if any(getattr(each, name) for name in PARTS)]
    if len(found) > 1:
        moved = flows(rows, units, prices, first=first, last=last)
        try:
            rates = _rates(account.currency, found, {before, last, *(on for on, _ in moved)})
            made.whole = together(found, moved, rates, first=first, last=last).rounded()
        except NoPrice as error:
            made.gaps = [str(error)]
    return made


def first_month(account: Account) -> date | None:
    """The month of the oldest row that counts."""
    oldest = Transaction.objects.in_books().filter(account=account).order_by("traded_on").values_list("traded_on")
    found = oldest.first()
    return found[0].replace(day=1) if found else None


def _movements(account: Account, first: date, last: date) -> Iterator[Movement]:
    rows = Transaction.objects.in_books().filter(account=account, traded_on__range=(first, last))
    names = ("traded_on", "kind", "currency", "net_amount", "fees", "taxes", "instrument_id", "quantity")
    for on, kind, currency, net, fees, taxes, unit, quantity in rows.order_by("traded_on", "pk").values_list(*names):
        yield Movement(
            on=on,
            kind=TransactionKind(kind),
            currency=currency,
            net=net,
            fees=fees,
            taxes=taxes,
            unit=unit,
            quantity=quantity or ZERO,
        )


def _units(wanted: Collection[int]) -> dict[int, Unit]:
    rows = Instrument.objects.filter(pk__in=wanted)
    return {row.pk: Unit(id=row.pk, title=row.title, currency=row.currency, multiplier=row.multiplier) for row in rows}


def _days_needed(before: date, last: date, rows: Iterable[Movement]) -> set[date]:
    return {before, last, *(row.on for row in rows if row.unit is not None and row.kind in OUTSIDE)}


def _prices(account: Account, units: Collection[int], days: Collection[date]) -> Prices:
    """The close of the day or shortly before; else what the broker reported the position at, else what was paid."""
    known: dict[int, dict[date, Decimal]] = defaultdict(dict)
    span = {"instrument__in": units, "traded_on__range": (min(days) - FRESH, max(days))}
    traded = Transaction.objects.in_books().filter(account=account, price__gt=0, **span)
    for unit, on, price in traded.values_list("instrument_id", "traded_on", "price"):
        known[unit][on] = cast("Decimal", price)  # asked to be there
    span = {"instrument__in": units, "on__range": (min(days) - FRESH, max(days))}
    points = PositionPoint.objects.filter(account=account, price__isnull=False, **span)
    for unit, on, price in points.values_list("instrument_id", "on", "price"):
        known[unit][on] = cast("Decimal", price)
    closes = DailyPrice.objects.filter(user=account.connection.user_id, **span)
    for unit, on, price in closes.values_list("instrument_id", "on", "close"):
        known[unit][on] = price
    money = Instrument.objects.filter(pk__in=units, asset_class=AssetClass.MONEY_FUND).values_list("pk", flat=True)
    for unit in money:
        known[unit] |= dict.fromkeys(days, Decimal(1))
    found = {}
    for unit, by_day in known.items():
        ordered = sorted(by_day)
        for on in days:
            place = bisect_right(ordered, on)
            if place and on - ordered[place - 1] <= FRESH:
                found[unit, on] = by_day[ordered[place - 1]]
    return Prices(found)


def _without_price(
    held: Mapping[int, Decimal], rows: Iterable[Movement], units: Mapping[int, Unit], prices: Prices, before: date,
    last: date,
) -> set[int]:  # fmt: skip
    """The positions that cannot be valued on a day on which they have to be."""
    end = defaultdict(Decimal, held)
    wanted = {(unit, before) for unit, quantity in held.items() if quantity}
    for row in rows:
        if row.unit is not None:
            end[row.unit] += row.quantity
            if row.kind in OUTSIDE and row.quantity:
                wanted.add((row.unit, row.on))
    wanted |= {(unit, last) for unit, quantity in end.items() if quantity}
    return {unit for unit, on in wanted if not prices.knows(units[unit], on)}


def _rates(into: str, currencies: Iterable[str], days: Collection[date]) -> Rates:
    exchange = Exchange.load({into, *currencies}, first=min(days), last=max(days))
    known = {}
    for currency in currencies:
        for on in days:
            quote = exchange.quote(currency, into, on=on)
            if not isinstance(quote, Gap):
                known[currency, on] = quote.rate
    return Rates(into, known)


def _said(account: Account, on: date) -> dict[str, Decimal]:
    points = BalancePoint.objects.filter(account=account, on=on, basis=PointBasis.OBSERVED)
    told = points.values_list("currency", "net_asset_value")
    return {currency: value for currency, value in told if value is not None}


def _said_whole(account: Account, on: date) -> Decimal | None:
    told = ReportedValue.objects.filter(account=account, on=on, currency=account.currency)
    return told.values_list("net_asset_value", flat=True).first()


def exported(made: MonthStatement) -> Iterator[dict[str, Any]]:
    """One row for each part of each statement."""
    for statement, lines, said in made.tables:
        scope = "all currencies" if statement is made.whole else statement.currency
        for name, label, amount in lines:
            yield {
                "account": str(made.account),
                "from": made.first.isoformat(),
                "to": made.last.isoformat(),
                "scope": scope,
                "part": name,
                "label": label,
                "amount": plain(amount),
                "currency": statement.currency,
            }
        if said is not None:
            yield {
                "account": str(made.account),
                "from": made.first.isoformat(),
                "to": made.last.isoformat(),
                "scope": scope,
                "part": "reported",
                "label": "The broker's own figure",
                "amount": plain(said),
                "currency": statement.currency,
            }


COLUMNS = ("account", "from", "to", "scope", "part", "label", "amount", "currency")
