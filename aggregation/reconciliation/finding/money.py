"""Causes that lie in cash alone: income, costs, exchanges, deposits that are not in the books."""

from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import combinations, pairwise, permutations
from statistics import median

from aggregation.reconciliation.causes import Cause
from aggregation.reconciliation.facts import ZERO, Row
from aggregation.reconciliation.finding.rows import CASH_DAYS, read_again
from aggregation.reconciliation.finding.search import (
    CENT,
    HALF_CENT,
    Action,
    Finding,
    Fix,
    NewRow,
    Search,
    amount_of,
    day,
)
from connections.brokers.records import TransactionKind as Kind

RHYTHMS = {7: 0, 14: 0, 30: 1, 61: 2, 91: 3, 182: 6, 365: 12}  # days, and how many months that is
TAX_RATES = tuple(Decimal(rate) / 1000 for rate in (300, 150, 250, 100, 125, 200, 264, 275, 350, 128, 280, 375))
LATELY = timedelta(days=120)
RAISE = Decimal("0.15")  # by so much income may differ from the last
RATE_MARGIN = Decimal("0.03")
ROUND_SUM = Decimal(10)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Rows that come again and again: the last one, and the day the next is due, `days` after it."""

    rows: Sequence[Row]
    due_on: date
    days: int

    @property
    def last(self) -> Row:
        return self.rows[-1]


def rhythms(rows: Iterable[Row], on: date) -> Iterator[Rhythm]:
    """Of two rows and more whose next is due by `on` and has not come."""
    ordered = sorted({row.traded_on: row for row in rows}.values(), key=lambda row: row.traded_on)
    if len(ordered) < 2:
        return
    gaps = [(later.traded_on - row.traded_on).days for row, later in pairwise(ordered)]
    usual = median(gaps[-6:])
    days = min(RHYTHMS, key=lambda each: abs(each - usual))
    margin = max(3, days // 6)
    if abs(days - usual) > margin:
        return
    due = _next(ordered[-1].traded_on, days)
    if due - timedelta(days=margin) <= on <= due + timedelta(days=days):
        yield Rhythm(ordered, min(due, on), days)


def _next(last: date, days: int) -> date:
    """The same day of a later month, or its last one; by days where the rhythm is of weeks."""
    if not RHYTHMS[days]:
        return last + timedelta(days=days)
    months = last.month - 1 + RHYTHMS[days]
    year, month = last.year + months // 12, months % 12 + 1
    return date(year, month, min(last.day, monthrange(year, month)[1]))


def _money(
    search: Search, cause: Cause, row: Row, amount: Decimal, text: str, label: str, *, on: date, kind: Kind
) -> Finding:
    instrument = row.instrument
    new = NewRow(kind=kind, on=on, currency=row.currency, instrument=instrument, net=amount, text=cause.label)
    again = Fix(action=Action.READ_AGAIN, label="Read these days again", days=(on - LATELY / 12, on + LATELY / 12))
    return Finding(
        cause=cause,
        amounts={("cash", row.currency): amount},
        text=text,
        evidence=(row.id,),
        fixes=(Fix(action=Action.BOOK, label=label, book=(new,)), again),
    )


def dividends(search: Search) -> Iterator[Finding]:
    """As another of the person's accounts was paid, unit for unit; or as every month or quarter before."""
    facts = search.facts
    booked = {(row.instrument, row.traded_on) for row in facts.counting() if row.kind == Kind.DIVIDEND}
    for row in facts.elsewhere:
        if row.kind != Kind.DIVIDEND or row.instrument is None or not row.price:
            continue
        if any((row.instrument, row.traded_on + timedelta(days)) in booked for days in range(-5, 6)):
            continue
        held = sum((each.quantity for each in facts.of(row.instrument) if each.traded_on < row.traded_on), ZERO)
        amount = round(held * row.price, 2)
        if left := _close(search, row.currency, amount, CENT * 2):
            text = f"Another of your accounts was paid {row.price.normalize():f} a unit on {day(row.traded_on)}."
            yield _money(
                search, Cause.DIVIDEND, row, left, text, "Book the dividend", on=row.traded_on, kind=Kind.DIVIDEND
            )
    of_thing: dict[int, list[Row]] = defaultdict(list)
    for row in facts.counting():
        if row.kind == Kind.DIVIDEND and row.instrument is not None and row.net > 0:
            of_thing[row.instrument].append(row)
    found = []
    for instrument, rows in of_thing.items():
        for rhythm in rhythms(rows, facts.on):
            amount = _by_units(search, instrument, rhythm)
            left = _close(search, rhythm.last.currency, amount, abs(amount) * RAISE)
            if left:
                text = (
                    f"{search.thing(instrument).title} was last paid on {day(rhythm.last.traded_on)}; it is due again."
                )
                found.append(
                    (
                        abs(left - amount),
                        _money(
                            search, Cause.DIVIDEND, rhythm.last, left, text, "Book the dividend",
                            on=rhythm.due_on, kind=Kind.DIVIDEND,
                        ),
                    )
                )  # fmt: skip
    yield from (finding for _, finding in sorted(found, key=lambda pair: pair[0]))


def _by_units(search: Search, instrument: int, rhythm: Rhythm) -> Decimal:
    """The last amount, for the units held when the next one is due."""
    rows = search.facts.of(instrument)
    then = sum((row.quantity for row in rows if row.traded_on < rhythm.last.traded_on), ZERO)
    now = sum((row.quantity for row in rows if row.traded_on < rhythm.due_on), ZERO)
    return rhythm.last.net * now / then if then > 0 and now > 0 else rhythm.last.net


def _close(search: Search, currency: str, amount: Decimal, within: Decimal) -> Decimal | None:
    """What is open in the currency, when it is near enough to `amount`."""
    left = search.cash_of(currency)
    return left if left and amount and abs(left - amount) <= within and (left > 0) == (amount > 0) else None


def interest(search: Search) -> Iterator[Finding]:
    rows = [row for row in search.facts.counting() if row.kind == Kind.INTEREST]
    for currency in search.cash:
        for sign in (1, -1):
            same = [row for row in rows if row.currency == currency and row.net * sign > 0]
            for rhythm in rhythms(same, search.facts.on):
                if left := _close(search, currency, rhythm.last.net, abs(rhythm.last.net) / 2):
                    text = f"Interest was last booked on {day(rhythm.last.traded_on)}; it is due again."
                    yield _money(
                        search, Cause.INTEREST, rhythm.last, left, text, "Book the interest",
                        on=rhythm.due_on, kind=Kind.INTEREST,
                    )  # fmt: skip


def fees(search: Search) -> Iterator[Finding]:
    """The same fee as every month, or the fee a row names and does not subtract."""
    by_amount: dict[tuple[str, Decimal], list[Row]] = defaultdict(list)
    for row in search.facts.counting():
        if row.kind == Kind.FEE and row.net < 0:
            by_amount[row.currency, row.net].append(row)
    for rows in by_amount.values():
        for rhythm in rhythms(rows, search.facts.on):
            text = f"It was last taken on {day(rhythm.last.traded_on)}; it is due again."
            amount = rhythm.last.net
            yield _money(search, Cause.FEE, rhythm.last, amount, text, "Book the fee", on=rhythm.due_on, kind=Kind.FEE)
    unpaid = [row for row in search.facts.counting() if row.gross is not None and (row.fees or row.taxes)]
    for row in search.lately(unpaid):
        gap = (row.gross or ZERO) - row.fees - row.taxes - row.net
        is_tax = row.taxes > row.fees
        text = f"{row.kind.label} of {day(row.traded_on)} names it, and it is not taken off the amount."
        cause, kind = (Cause.TAX, Kind.TAX) if is_tax else (Cause.FEE, Kind.FEE)
        label = "Book the tax" if is_tax else "Book the fee"
        if gap < 0:
            yield _money(search, cause, row, gap, text, label, on=row.traded_on, kind=kind)


def taxes(search: Search) -> Iterator[Finding]:
    """A usual share of a dividend that came in without tax."""
    facts = search.facts
    taxed = {(row.instrument, row.traded_on) for row in facts.counting() if row.kind == Kind.TAX}
    paid = [
        row
        for row in facts.counting()
        if row.kind in (Kind.DIVIDEND, Kind.INTEREST) and row.net > 0 and not row.taxes
        and not any((row.instrument, row.traded_on + timedelta(days)) in taxed for days in range(6))
    ]  # fmt: skip
    for row in search.lately(paid):
        for rate in TAX_RATES:
            amount = round(-row.net * rate, 2)
            if (left := _close(search, row.currency, amount, CENT)) and abs(amount) >= CENT * 5:
                text = f"{rate * 100:.4g} % of the {row.kind.label.lower()} of {day(row.traded_on)}."
                yield _money(search, Cause.TAX, row, left, text, "Book the tax", on=row.traded_on, kind=Kind.TAX)


def wrong_currency(search: Search) -> Iterator[Finding]:
    for row in search.lately(search.facts.counting()):
        for other in search.cash:
            if row.net and other != row.currency and not row.quantity:
                moved = NewRow(kind=row.kind, on=row.traded_on, currency=other, instrument=row.instrument, net=row.net)
                fix = Fix(action=Action.EXCLUDE, label="Move it", rows=(row.id,), book=(moved,))
                yield Finding(
                    cause=Cause.WRONG_CURRENCY,
                    amounts={("cash", row.currency): -row.net, ("cash", other): row.net},
                    text=f"{row.kind.label} of {day(row.traded_on)} came in {other}.",
                    evidence=(row.id,),
                    fixes=(fix,),
                )


def exchanges(search: Search) -> Iterator[Finding]:
    """Both sides of an exchange missing, or the second side of one that is booked."""
    for sold, bought in permutations(search.cash, 2):
        out, came = search.cash[sold], search.cash[bought]
        if out < 0 < came and _at_rate(search, sold, bought, -out, came):
            on = search.facts.on
            legs = tuple(
                NewRow(kind=Kind.FX, on=on, currency=currency, net=amount)
                for currency, amount in ((sold, out), (bought, came))
            )
            yield Finding(
                cause=Cause.FX_LEG,
                amounts={("cash", sold): out, ("cash", bought): came},
                text=f"{amount_of(out, sold)} became {amount_of(came, bought)}.",
                fixes=(Fix(action=Action.BOOK, label="Book the exchange", book=legs),),
            )
    for row in search.lately(row for row in search.facts.counting() if row.kind == Kind.FX):
        for other, left in search.cash.items():
            if other == row.currency or (left > 0) == (row.net > 0):
                continue
            if _at_rate(search, row.currency, other, abs(row.net), abs(left)) and not _has_leg(search, row, other):
                leg = NewRow(kind=Kind.FX, on=row.traded_on, currency=other, net=left)
                yield Finding(
                    cause=Cause.FX_LEG,
                    amounts={("cash", other): left},
                    text=f"The other side of the exchange of {amount_of(row.net, row.currency)}, {day(row.traded_on)}.",
                    evidence=(row.id,),
                    fixes=(read_again([row]), Fix(action=Action.BOOK, label="Book the other side", book=(leg,))),
                )


def _at_rate(search: Search, sold: str, bought: str, out: Decimal, came: Decimal) -> bool:
    rate = search.facts.rates.get((sold, bought))
    return rate is not None and abs(came / out - rate) <= rate * RATE_MARGIN


def _has_leg(search: Search, row: Row, currency: str) -> bool:
    return any(
        other.kind == Kind.FX and other.currency == currency and abs(other.traded_on - row.traded_on) <= timedelta(3)
        for other in search.facts.counting()
    )


def moved(search: Search) -> Iterator[Finding]:
    """A round sum that came or went, since books and broker agreed last."""
    for currency, left in search.cash.items():
        if abs(left) < ROUND_SUM or left % ROUND_SUM or not search.knows(("cash", currency)):
            continue
        kind = Kind.DEPOSIT if left > 0 else Kind.WITHDRAWAL
        new = NewRow(kind=kind, on=search.facts.on, currency=currency, net=left)
        again = Fix(
            action=Action.READ_AGAIN,
            label="Read the last weeks again",
            days=(search.facts.on - CASH_DAYS, search.facts.on),
        )
        yield Finding(
            cause=Cause.MONEY_MOVED,
            amounts={("cash", currency): left},
            text=f"{amount_of(left, currency)} {'came in' if left > 0 else 'went out'} since books and broker agreed.",
            fixes=(again, Fix(action=Action.BOOK, label=f"Book it as a {kind.label.lower()}", book=(new,))),
        )


def pairs(search: Search) -> Iterator[tuple[Finding, Finding]]:
    """Two causes of one amount, each of which is exact in itself."""
    exact: list[Finding] = []
    for detector in (fees, taxes_exact, dividends_exact):
        exact += detector(search)
    for one, other in combinations(exact, 2):
        (item,), (same,) = one.amounts, other.amounts
        apart = abs(one.amounts[item] + other.amounts[item] - search.open.get(item, ZERO))
        if item == same and one.evidence != other.evidence and apart < HALF_CENT:
            yield one, other


def dividends_exact(search: Search) -> Iterator[Finding]:
    """Each dividend that is due, at the amount of the last."""
    facts = search.facts
    of_thing: dict[int, list[Row]] = defaultdict(list)
    for row in facts.counting():
        if row.kind == Kind.DIVIDEND and row.instrument is not None and row.net > 0:
            of_thing[row.instrument].append(row)
    for instrument, rows in of_thing.items():
        for rhythm in rhythms(rows, facts.on):
            amount = round(_by_units(search, instrument, rhythm), 2)
            text = f"{search.thing(instrument).title} was last paid on {day(rhythm.last.traded_on)}; it is due again."
            yield _money(
                search, Cause.DIVIDEND, rhythm.last, amount, text, "Book the dividend",
                on=rhythm.due_on, kind=Kind.DIVIDEND,
            )  # fmt: skip


def taxes_exact(search: Search) -> Iterator[Finding]:
    """The two usual rates of the latest dividends."""
    late = [
        row
        for row in search.facts.counting()
        if row.kind == Kind.DIVIDEND and row.net > 0 and not row.taxes and search.facts.on - row.traded_on <= LATELY
    ]
    for row in late:
        for rate in TAX_RATES[:2]:
            text = f"{rate * 100:.4g} % of the dividend of {day(row.traded_on)}."
            amount = round(-row.net * rate, 2)
            if amount:
                yield _money(search, Cause.TAX, row, amount, text, "Book the tax", on=row.traded_on, kind=Kind.TAX)
