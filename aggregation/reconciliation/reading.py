"""From the database into `Facts`: first the figures alone, and only where they differ the rows around them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Exists, OuterRef, Q, Subquery, Sum

from aggregation.ledger import market_date
from aggregation.models import Balance, BookStatus, Instrument, Position, Transaction, TransactionQuerySet, TransferLink
from aggregation.positions.choices import things_among
from aggregation.rates.exchange import Exchange, Gap
from aggregation.reconciliation import derived
from aggregation.reconciliation.derived import Basis
from aggregation.reconciliation.facts import ZERO, Facts, Item, Row, Thing
from aggregation.reconciliation.models import Reconciliation
from connections.brokers.records import AssetClass, TransactionKind
from connections.models import Account

MOST_ROWS = 4000  # around a difference; of cash, whose rows are all of the account's, the newest
LATELY = timedelta(days=60)
MOVES = (
    TransactionKind.TRANSFER_IN,
    TransactionKind.TRANSFER_OUT,
    TransactionKind.DEPOSIT,
    TransactionKind.WITHDRAWAL,
)
IN_KIND = (*MOVES[:2], TransactionKind.SPLIT, TransactionKind.CORPORATE_ACTION)
ENDS = (TransactionKind.OPTION_EXERCISE, TransactionKind.OPTION_ASSIGNMENT)
ROW_FIELDS = (
    "id",
    "account_id",
    "kind",
    "traded_on",
    "currency",
    "net_amount",
    "status",
    "source",
    "subtype",
    "settled_on",
    "occurred_at",
    "instrument_id",
    "quantity",
    "gross_amount",
    "price",
    "fees",
    "taxes",
    "run_id",
    "group_id",
    "external_id",
)


Same = dict[int, int]  # an instrument and the one under which it is compared, where that is another


def _same(account: Account, reported: Collection[int]) -> Same:
    """What the person says is one thing is compared as one: as what the broker reports of it, if it does. One query."""
    things, same = things_among(account.connection.user, ()), Same()
    for group in things.joined():
        members = [pk for pk in sorted(group) if not things.of(pk, account.pk).account_id]
        lead = next((pk for pk in members if pk in reported), members[0] if members else 0)
        same |= {pk: lead for pk in members if pk != lead}
    return same


@dataclass(slots=True)
class Report:
    """What the broker said of an account, all at once. Positions it reported before are `vanished`."""

    as_of: datetime
    amounts: dict[Item, Decimal]
    positions: dict[int, Position] = field(default_factory=dict)
    vanished: set[int] = field(default_factory=set)
    untold: set[str] = field(default_factory=set)  # currencies whose cash it does not tell
    same: Same = field(default_factory=dict)

    @classmethod
    def of(cls, account: Account) -> "Report | None":
        """None when the broker has told nothing yet, as with accounts kept by file. Three queries."""
        balances = list(Balance.objects.filter(account=account).defer("raw"))
        positions = list(Position.objects.filter(account=account).defer("raw"))
        held = [position for position in positions if position.closed_at is None]
        times = [each.as_of for each in balances] + [each.as_of for each in held]
        if not times:
            return None
        same = _same(account, {each.instrument_id for each in held})
        amounts = _units(((each.instrument_id, each.quantity) for each in held), same)
        amounts |= {("cash", each.currency): each.cash for each in balances if each.cash is not None}
        return cls(
            as_of=max(times),
            amounts=amounts,
            positions={each.instrument_id: each for each in held},
            vanished={each.instrument_id for each in positions if each.closed_at is not None},
            untold={each.currency for each in balances if each.cash is None},
            same=same,
        )

    @property
    def tells_cash(self) -> bool:
        return any(item[0] == "cash" for item in self.amounts)


def _units(amounts: Iterable[tuple[int, Decimal]], same: Same) -> dict[Item, Decimal]:
    """Units of each thing; what comes to nothing is left out."""
    sums: dict[Item, Decimal] = defaultdict(Decimal)
    for instrument, units in amounts:
        sums["units", same.get(instrument, instrument)] += units
    return {item: units for item, units in sums.items() if units}


def figures(account: Account, report: Report) -> Facts:
    """The two sides to compare: two queries, whatever the account holds.

    Cash of a currency the broker does not mention is nothing there, when it tells its cash at all.
    """
    on = market_date(account, report.as_of)
    units = derived.quantities([account], on=on)
    cash = derived.cash([account], on=on)
    booked = _units(((instrument, amount) for (_, instrument), amount in units.items()), report.same)
    reported = dict(report.amounts)
    for (_, currency), amount in cash.items():
        if currency in report.untold or not report.tells_cash:
            continue
        booked["cash", currency] = amount
        reported.setdefault(("cash", currency), ZERO)
    return Facts(
        account=account.pk,
        currency=account.currency,
        on=on,
        as_of=report.as_of,
        reported=reported,
        derived=booked,
        settled={},
        things={},
    )


def surroundings(facts: Facts, account: Account, report: Report, state: Reconciliation, known: set[Item]) -> Facts:
    """The same facts with all that may explain the differences. A fixed number of queries."""
    apart = facts.differences()
    instruments = {item[1] for item in apart if item[0] == "units"}
    currencies = {item[1] for item in apart if item[0] == "cash"}
    members = instruments | {pk for pk, lead in report.same.items() if lead in instruments}
    rows = tuple(_under_one(_rows(account, members, currencies), report.same))
    elsewhere = tuple(_under_one(_elsewhere(account, members, currencies, facts, rows), report.same))
    mentioned = {row.instrument for row in (*rows, *elsewhere) if row.instrument is not None}
    held = {item[1] for item in (*facts.reported, *facts.derived) if item[0] == "units"}
    by_instrument = derived.quantities([account], on=facts.on, basis=Basis.SETTLED)
    settled = _units(((instrument, amount) for (_, instrument), amount in by_instrument.items()), report.same)
    by_currency = derived.cash([account], on=facts.on, basis=Basis.SETTLED)
    settled |= {("cash", currency): amount for (_, currency), amount in by_currency.items()}
    return replace(
        facts,
        settled=settled,
        things=_things(instruments | mentioned | held, report, rows),
        rows=rows,
        elsewhere=elsewhere,
        costs={pk: each.average_cost for pk, each in report.positions.items() if each.average_cost is not None},
        known=frozenset(known),
        vanished=frozenset(report.vanished),
        parked=state.parked,
        books_begin_on=state.covered_from,
        rates=_rates(currencies | {row.currency for row in rows if row.kind == TransactionKind.FX}, facts.on),
    )


def _under_one(rows: Iterable[Row], same: Same) -> Iterator[Row]:
    for row in rows:
        lead = None if row.instrument is None else same.get(row.instrument)
        yield row if lead is None else replace(row, instrument=lead)


def _rows(account: Account, instruments: Collection[int], currencies: Collection[str]) -> Iterator[Row]:
    """Of the instruments that differ, and where cash differs of all the account: the newest."""
    rows = Transaction.objects.filter(account=account).exclude(status=BookStatus.SUPERSEDED)
    if not currencies:
        rows = rows.filter(Q(instrument__in=instruments) | Q(kind__in=ENDS))
    newest = rows.order_by("-traded_on", "-pk").values_list(*ROW_FIELDS)[:MOST_ROWS]
    found = [_row(values) for values in newest]
    if currencies and instruments and len(found) == MOST_ROWS:
        seen = {row.id for row in found}
        older = rows.filter(instrument__in=instruments).order_by("-traded_on", "-pk").values_list(*ROW_FIELDS)
        found += [row for row in map(_row, older[:MOST_ROWS]) if row.id not in seen]
    yield from sorted(found, key=lambda row: (row.traded_on, row.id))


def _elsewhere(
    account: Account, instruments: Collection[int], currencies: Collection[str], facts: Facts, rows: tuple[Row, ...]
) -> Iterator[Row]:
    """What the person's other accounts say of the same things: transfers without a partner, splits, dividends."""
    others = Transaction.objects.in_books().filter(
        account__connection__user=account.connection.user_id, account__closed_on=None
    )
    others = others.exclude(account=account)
    wanted = Q(kind__in=IN_KIND, instrument__in=instruments)
    if currencies:
        paying = {row.instrument for row in rows if row.instrument is not None}
        lately = Q(traded_on__gte=facts.on - LATELY)
        wanted |= Q(kind__in=MOVES, instrument=None, currency__in=currencies) & lately
        wanted |= Q(kind=TransactionKind.DIVIDEND, instrument__in=paying, currency__in=currencies) & lately
    linked = TransferLink.objects.joined().filter(Q(outgoing=OuterRef("pk")) | Q(incoming=OuterRef("pk")))
    found = _with_units(others.filter(wanted).exclude(Exists(linked)))
    for *values, units in found.order_by("-traded_on", "-pk").values_list(*ROW_FIELDS, "units")[:MOST_ROWS]:
        row = _row(values)
        if row.kind == TransactionKind.DIVIDEND:
            row = replace(row, price=row.net / units if units else None)
        yield row


def _with_units(rows: TransactionQuerySet) -> TransactionQuerySet:
    """With how many units of the row's instrument its account had before, so that income can be had per unit."""
    before = Transaction.objects.in_books().filter(
        account=OuterRef("account"), instrument=OuterRef("instrument"), traded_on__lt=OuterRef("traded_on")
    )
    total = before.order_by().values("instrument").annotate(total=Sum("quantity")).values("total")
    return rows.annotate(units=Subquery(total))


def _row(values: Any) -> Row:
    found = dict(zip(ROW_FIELDS, values, strict=True))
    return Row(
        id=found["id"],
        account=found["account_id"],
        kind=TransactionKind(found["kind"]),
        traded_on=found["traded_on"],
        currency=found["currency"],
        net=found["net_amount"],
        status=found["status"],
        source=found["source"],
        subtype=found["subtype"],
        settled_on=found["settled_on"],
        occurred_at=found["occurred_at"],
        instrument=found["instrument_id"],
        quantity=found["quantity"] or ZERO,
        gross=found["gross_amount"],
        price=found["price"],
        fees=found["fees"],
        taxes=found["taxes"],
        run=found["run_id"],
        group=found["group_id"],
        external_id=found["external_id"],
    )


def _things(wanted: Collection[int], report: Report, rows: tuple[Row, ...]) -> dict[int, Thing]:
    paid = {row.instrument: row.price for row in rows if row.instrument is not None and row.price}
    things = {}
    for row in Instrument.objects.filter(pk__in=wanted):
        position = report.positions.get(row.pk)
        reported = position.price if position else None
        things[row.pk] = Thing(
            id=row.pk,
            asset_class=AssetClass(row.asset_class),
            symbol=row.symbol,
            title=row.title,
            currency=row.currency,
            name=row.name,
            cusip=row.cusip,
            isin=row.isin,
            underlying=row.underlying,
            multiplier=row.multiplier,
            price=reported or paid.get(row.pk),
        )
    return things


def _rates(currencies: Collection[str], on: date) -> dict[tuple[str, str], Decimal]:
    exchange = Exchange.load(currencies, last=on)
    rates = {}
    for currency in currencies:
        for into in currencies:
            quote = exchange.quote(currency, into, on=on)
            if currency != into and not isinstance(quote, Gap):
                rates[currency, into] = quote.rate
    return rates
