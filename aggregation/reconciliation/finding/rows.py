"""Causes that lie in a row the hub has: one that does not count and should, one that counts and should not."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

from aggregation.reconciliation.causes import Cause
from aggregation.reconciliation.facts import Item, Row
from aggregation.reconciliation.finding.search import (
    CENT,
    Action,
    Finding,
    Fix,
    NewRow,
    Search,
    amount_of,
    day,
    ids,
    less,
    number,
    together,
)
from connections.brokers.records import TransactionKind as Kind

FIX_PREFIX = "fix:"  # what the hub calls the rows it books for a correction
MARGIN = timedelta(days=5)  # within which two tellers may date the same event
CASH_DAYS = timedelta(days=45)
OTHER_WAY = {
    Kind.DEPOSIT: Kind.WITHDRAWAL,
    Kind.WITHDRAWAL: Kind.DEPOSIT,
    Kind.BUY: Kind.SELL,
    Kind.SELL: Kind.BUY,
    Kind.TRANSFER_IN: Kind.TRANSFER_OUT,
    Kind.TRANSFER_OUT: Kind.TRANSFER_IN,
}


def told_by_broker(search: Search) -> Iterator[Finding]:
    """Rows of a correction too many: the broker tells by now what a person had booked."""
    corrections: dict[str, list[Row]] = defaultdict(list)
    for row in search.facts.counting():
        if row.source == "manual" and row.external_id.startswith(FIX_PREFIX):
            corrections[row.external_id.rpartition(":")[0]].append(row)
    for rows in corrections.values():
        yield Finding(
            cause=Cause.TOLD_BY_BROKER,
            amounts=less(together(rows)),
            text=f"You booked this on {day(rows[0].traded_on)}, and it is one too many by now: "
            "it was told since, or what it made up for was taken back.",
            evidence=ids(rows),
            fixes=(Fix(action=Action.TAKE_BACK, label="Take my correction back", rows=ids(rows)),),
        )


def not_counting(search: Search) -> Iterator[Finding]:
    """Rows that are known and do not count: pending, left out, taken back, merged with another."""
    rows = [row for row in search.facts.rows if row.effect and not row.external_id.startswith(FIX_PREFIX)]
    waiting = [row for row in rows if row.status == "pending"]
    for chosen in _each_and_all(waiting):
        text = f"{_named(chosen)}: the broker counts it, though it is pending."
        yield Finding(cause=Cause.PENDING, amounts=together(chosen), text=text, evidence=ids(chosen))
    for chosen in _each_and_all([row for row in rows if row.status == "excluded"]):
        fix = Fix(action=Action.BRING_BACK, label="Count it again", rows=ids(chosen))
        text = f"{_named(chosen)} was left out by you."
        yield Finding(cause=Cause.EXCLUDED, amounts=together(chosen), text=text, evidence=ids(chosen), fixes=(fix,))
    runs: dict[int | None, list[Row]] = defaultdict(list)
    for row in rows:
        if row.status == "undone":
            runs[row.run].append(row)
    for of_run in runs.values():
        for chosen in _each_and_all(of_run):
            text = f"{_named(chosen)} was taken back with its sync or import."
            fixes = (read_again(chosen),)
            yield Finding(
                cause=Cause.TAKEN_BACK, amounts=together(chosen), text=text, evidence=ids(chosen), fixes=fixes
            )
    for row in rows:
        if row.status == "duplicate":
            fix = Fix(action=Action.SEPARATE, label="Count both", rows=(row.id,))
            text = f"{_named([row])} was merged with an equal row, and the broker counts both."
            yield Finding(cause=Cause.TWIN_LOST, amounts=row.effect, text=text, evidence=(row.id,), fixes=(fix,))


def stale_report(search: Search) -> Iterator[Finding]:
    """Rows of a later moment than the report, or a report that is ahead of the rows."""
    for rows, sign in _of_another_moment(search):
        yield _stale(rows, less(together(rows), sign))


def partly_stale(search: Search) -> Iterator[Finding]:
    """The same where the broker's units are of one moment and its cash of another."""
    for rows, sign in _of_another_moment(search):
        for item, amount in less(together(rows), sign).items():
            yield _stale([row for row in rows if item in row.effect], {item: amount})


def _of_another_moment(search: Search) -> Iterator[tuple[list[Row], int]]:
    facts = search.facts
    of_today = [row for row in facts.counting() if row.traded_on == facts.on]
    later = [row for row in of_today if row.occurred_at is not None and row.occurred_at > facts.as_of]
    ahead = [row for row in facts.counting() if row.traded_on > facts.on]
    for rows, sign in ((later, 1), (of_today, 1), (ahead, -1)):
        if rows:
            yield rows, sign


def _stale(rows: Sequence[Row], amounts: dict[Item, Decimal]) -> Finding:
    text = f"{_named(rows)} and the broker's figures are of different moments."
    return Finding(cause=Cause.STALE_REPORT, amounts=amounts, text=text, evidence=ids(rows))


def unsettled(search: Search) -> Iterator[Finding]:
    """A broker that counts by settlement date."""
    facts = search.facts
    for item, left in list(search.open.items()):
        by_settlement = facts.settled.get(item, 0) - facts.derived.get(item, 0)
        if not by_settlement or abs(by_settlement - left) > (CENT if item[0] == "cash" else 0):
            continue
        rows = [row for row in facts.counting() if row.settled_on and row.settled_on > facts.on and item in row.effect]
        last = max((row.settled_on for row in rows if row.settled_on), default=None)
        text = f"Trades settle until {day(last)}; the broker counts them then." if last else "Trades have to settle."
        yield Finding(cause=Cause.UNSETTLED, amounts={item: left}, text=text, evidence=ids(rows))


def transfer_legs(search: Search) -> Iterator[Finding]:
    """The side of a transfer that another account of the same person has, and this one not."""
    facts = search.facts
    moves = [row for row in facts.elsewhere if row.kind in OTHER_WAY and row.kind not in (Kind.BUY, Kind.SELL)]
    in_kind: dict[int, list[Row]] = defaultdict(list)
    for row in moves:
        if row.instrument is not None and row.quantity:
            in_kind[row.instrument].append(row)
            yield _leg([row])
        elif abs(row.traded_on - facts.on) <= CASH_DAYS:
            yield _leg([row])
    for rows in in_kind.values():
        if len(rows) > 1:
            yield _leg(rows)


def _leg(rows: Sequence[Row]) -> Finding:
    book = tuple(
        NewRow(
            kind=OTHER_WAY[row.kind],
            on=row.traded_on,
            currency=row.currency,
            instrument=row.instrument,
            quantity=-row.quantity if row.quantity else None,
            net=-row.net,
            subtype="in_kind" if row.quantity else "internal",
            text="The other side of a transfer between your accounts",
        )
        for row in rows
    )
    what = "left" if (rows[0].quantity or rows[0].net) < 0 else "came into"
    return Finding(
        cause=Cause.TRANSFER_LEG,
        amounts=less(together(rows)),
        text=f"It {what} another of your accounts on {day(rows[0].traded_on)}.",
        evidence=ids(rows),
        fixes=(Fix(action=Action.BOOK, label="Book the other side", book=book),),
    )


def doubled(search: Search) -> Iterator[Finding]:
    """Two rows for one event. Which two, those of different tellers first; what is left out is not the broker's."""
    pairs = list(_alike(search.lately(search.facts.counting())))
    pairs.sort(key=lambda pair: (pair[0].source == pair[1].source, -pair[1].id))
    candidates = [*pairs, *((second, first) for first, second in pairs if first.effect != second.effect)]
    for kept, extra in candidates:
        yield _doubled([kept], [extra])
    by_file = [pair for pair in pairs if pair[0].source != pair[1].source]
    if len(by_file) > 1:
        yield _doubled([kept for kept, _ in by_file], [extra for _, extra in by_file])


def _doubled(kept: list[Row], extra: list[Row]) -> Finding:
    return Finding(
        cause=Cause.TWIN_DOUBLED,
        amounts=less(together(extra)),
        text=f"{_named(extra)} is in the books twice.",
        evidence=(*ids(kept), *ids(extra)),
        fixes=(Fix(action=Action.EXCLUDE, label="Leave the second one out", rows=ids(extra)),),
    )


def _alike(rows: Sequence[Row]) -> Iterator[tuple[Row, Row]]:
    """(the one to keep, the one too many): the same units of the same thing within days, for about the same money."""
    places: dict[object, list[Row]] = defaultdict(list)
    for row in rows:
        key = (row.instrument, row.quantity, row.currency) if row.quantity else (row.net, row.currency, row.instrument)
        places[key].append(row)
    for alike in places.values():
        alike.sort(key=lambda row: (row.traded_on, row.id))
        for first, second in pairwise(alike):
            near = second.traded_on - first.traded_on <= MARGIN
            if near and abs(first.net - second.net) <= max(CENT, abs(first.net) / 50):
                own = (first.source != "api", first.id) <= (second.source != "api", second.id)
                yield (first, second) if own else (second, first)


def lost_twin(search: Search) -> Iterator[Finding]:
    """A trade just like one in the books: the second of two equal fills."""
    for row in search.lately(search.facts.counting()):
        if row.kind in (Kind.BUY, Kind.SELL) and row.quantity and row.net:
            copy = NewRow(
                kind=row.kind,
                on=row.traded_on,
                currency=row.currency,
                instrument=row.instrument,
                quantity=row.quantity,
                net=row.net,
                price=row.price,
                text="The second of two equal trades",
            )
            fix = Fix(action=Action.BOOK, label="Book the second one", book=(copy,))
            yield Finding(
                cause=Cause.TWIN_LOST,
                amounts=row.effect,
                text=f"Just like {_named([row])}: the second of two equal trades.",
                evidence=(row.id,),
                fixes=(read_again([row]), fix),
            )


def wrong_sign(search: Search) -> Iterator[Finding]:
    for row in search.lately(search.facts.counting()):
        turned = NewRow(
            kind=OTHER_WAY.get(row.kind, row.kind),
            on=row.traded_on,
            currency=row.currency,
            instrument=row.instrument,
            quantity=-row.quantity if row.quantity else None,
            net=-row.net,
            price=row.price,
            text="The right way round",
        )
        label = "Turn it round"
        yield Finding(
            cause=Cause.WRONG_SIGN,
            amounts=less(row.effect, 2),
            text=f"{_named([row])} counts the wrong way round.",
            evidence=(row.id,),
            fixes=(Fix(action=Action.EXCLUDE, label=label, rows=(row.id,), book=(turned,)),),
        )


def reversal(search: Search) -> Iterator[Finding]:
    """A row that counts here and no longer there."""
    for row in search.lately(search.facts.counting()):
        fix = Fix(action=Action.EXCLUDE, label="Leave it out", rows=(row.id,))
        yield Finding(
            cause=Cause.REVERSAL,
            amounts=less(row.effect),
            text=f"Without {_named([row])} the books agree.",
            evidence=(row.id,),
            fixes=(read_again([row]), fix),
        )


def read_again(rows: Sequence[Row]) -> Fix:
    first, last = min(row.traded_on for row in rows), max(row.traded_on for row in rows)
    return Fix(action=Action.READ_AGAIN, label="Read these days again", days=(first - MARGIN, last + MARGIN))


def _each_and_all(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    for row in rows:
        yield [row]
    if len(rows) > 1:
        yield rows


def _named(rows: Sequence[Row]) -> str:
    """`Dividend of 12.30 USD on 3 Mar 2026`, or how many rows of which days."""
    first = min(rows, key=lambda row: row.traded_on)
    if len(rows) > 1:
        last = max(row.traded_on for row in rows)
        return f"{len(rows)} rows of {day(first.traded_on)} to {day(last)}"
    what = amount_of(first.net, first.currency) if first.net else f"{number(abs(first.quantity))} units"
    return f"{first.kind.label} of {what} on {day(first.traded_on)}"
