"""Causes that lie in what is held: splits, renamings, options that ended, spin-offs, units counted otherwise."""

from collections.abc import Iterator
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from itertools import permutations
from math import log

from aggregation import options
from aggregation.reconciliation.causes import Cause
from aggregation.reconciliation.facts import ZERO, Item, Row, Thing
from aggregation.reconciliation.finding.search import (
    CENT,
    Action,
    Finding,
    Fix,
    NewRow,
    Search,
    amount_of,
    ids,
    number,
)
from connections.brokers.records import AssetClass
from connections.brokers.records import TransactionKind as Kind

FORWARD = (*range(2, 11), 12, 15, 20, 25, 30, 50)
RATIOS = frozenset(
    {Fraction(n) for n in FORWARD}
    | {Fraction(1, n) for n in (*FORWARD, 40, 60, 75, 100)}
    | {Fraction(n, m) for n, m in ((3, 2), (4, 3), (5, 4), (5, 2), (2, 3), (3, 4), (4, 5))}
)
SIMPLE = frozenset(Fraction(1, n) for n in (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20)) | {Fraction(2), Fraction(1, 25)}
CONTRACT = Decimal(100)
UNITS = {
    AssetClass.OPTION: (Decimal(100), Decimal("0.01")),
    AssetClass.BOND: (Decimal(10), Decimal(100), Decimal(1000), Decimal("0.1"), Decimal("0.01"), Decimal("0.001")),
}


def sweep(search: Search) -> Iterator[Finding]:
    """Money the broker keeps in a money fund, one unit for each unit of its currency."""
    for instrument, units in search.units.items():
        fund = search.thing(instrument)
        if fund.asset_class != AssetClass.MONEY_FUND:
            continue
        kind = Kind.BUY if units > 0 else Kind.SELL
        row = NewRow(
            kind=kind,
            on=search.facts.on,
            currency=fund.currency,
            instrument=fund.id,
            quantity=units,
            net=-units,
            price=Decimal(1),
            subtype="sweep",
        )
        yield Finding(
            cause=Cause.SWEEP,
            amounts={("units", fund.id): units, ("cash", fund.currency): -units},
            text=f"{amount_of(units, fund.currency)} is in {fund.title} at the broker.",
            fixes=(Fix(action=Action.BOOK, label="Book it", book=(row,)),),
        )


def symbol_change(search: Search) -> Iterator[Finding]:
    """One thing gone and another there, the same units of both."""
    for old, new in permutations(search.units, 2):
        before, after = search.thing(old), search.thing(new)
        units, gone = (search.open.get(("units", each), ZERO) for each in (new, old))
        is_move = units and units == -gone and _is_gone(search, old) and _is_new(search, new)
        if is_move and _is_one_thing(before, after):
            yield _exchange(search, before, after, -units, units, Cause.SYMBOL_CHANGE, "Book the change")


def merger(search: Search) -> Iterator[Finding]:
    """One thing gone and another there, worth about the same."""
    for old, new in permutations(search.units, 2):
        before, after = search.thing(old), search.thing(new)
        if before.price is None or after.price is None or before.currency != after.currency:
            continue
        if not (_is_gone(search, old) and _is_new(search, new)):
            continue
        gone, came = (search.open.get(("units", each), ZERO) for each in (old, new))
        was, cash = -gone * before.price * before.multiplier, search.cash_of(after.currency)
        now = came * after.price * after.multiplier + (cash if cash > 0 else 0)
        if was > 0 and abs(now - was) <= was / 4:
            found = _exchange(search, before, after, gone, came, Cause.CORPORATE_ACTION, "Book the exchange")
            yield found


def _exchange(
    search: Search, before: Thing, after: Thing, gone: Decimal, came: Decimal, cause: Cause, label: str
) -> Finding:
    text = f"{number(abs(gone))} {before.title} became {number(abs(came))} {after.title}"
    subtype = "symbol_change" if cause is Cause.SYMBOL_CHANGE else "merger"
    rows = tuple(
        NewRow(
            kind=Kind.CORPORATE_ACTION,
            on=search.facts.on,
            currency=thing.currency,
            instrument=thing.id,
            quantity=units,
            subtype=subtype,
            text=text,
        )
        for thing, units in ((before, gone), (after, came))
    )
    amounts: dict[Item, Decimal] = {("units", before.id): gone, ("units", after.id): came}
    evidence = ids(search.facts.of(before.id)[-5:])
    fix = Fix(action=Action.BOOK, label=label, book=rows)
    return Finding(cause=cause, amounts=amounts, text=f"{text}.", evidence=evidence, fixes=(fix,))


def _is_gone(search: Search, instrument: int) -> bool:
    return not search.facts.reported.get(("units", instrument)) and bool(
        search.facts.derived.get(("units", instrument))
    )


def _is_new(search: Search, instrument: int) -> bool:
    return not search.facts.derived.get(("units", instrument)) and bool(
        search.facts.reported.get(("units", instrument))
    )


def _is_one_thing(one: Thing, other: Thing) -> bool:
    if one.currency != other.currency or one.underlying != other.underlying:
        return False
    if (one.cusip and one.cusip == other.cusip) or (one.isin and one.isin == other.isin):
        return True
    if one.price and other.price:
        return abs(log(one.price / other.price)) < log(1.5)
    return True


def spin_off(search: Search) -> Iterator[Finding]:
    """Something new without money paid for it, in a simple ratio to something held."""
    facts = search.facts
    for new, units in search.units.items():
        thing = search.thing(new)
        if not _is_new(search, new) or units <= 0 or not facts.known or ("cash", thing.currency) in search.open:
            continue
        told = [row for row in facts.elsewhere if row.instrument == new and row.kind == Kind.CORPORATE_ACTION]
        parents = [
            search.thing(item[1])
            for item, held in facts.derived.items()
            if item[0] == "units" and item[1] != new and held > 0 and item not in search.open
            and search.thing(item[1]).currency == thing.currency
            and Fraction(units) / Fraction(held) in SIMPLE
        ]  # fmt: skip
        if not parents and not told:
            continue
        what = f"from {parents[0].title}" if parents else "as in another of your accounts"
        on = told[0].traded_on if told else facts.on
        row = NewRow(
            kind=Kind.CORPORATE_ACTION,
            on=on,
            currency=thing.currency,
            instrument=new,
            quantity=units,
            subtype="spin_off",
        )
        yield Finding(
            cause=Cause.CORPORATE_ACTION,
            amounts={("units", new): units},
            text=f"{number(units)} {thing.title} came without money being paid, perhaps by a spin-off {what}.",
            evidence=ids(told),
            fixes=(Fix(action=Action.BOOK, label="Book the spin-off", book=(row,)),),
        )


def exercised(search: Search) -> Iterator[Finding]:
    """Shares and money of an option that was exercised or assigned. An option still in the books ends with it."""
    facts = search.facts
    ended: list[tuple[Thing, Decimal, Row | None]] = [
        (search.thing(row.instrument), -row.quantity, row)
        for row in facts.counting()
        if row.kind in (Kind.OPTION_EXERCISE, Kind.OPTION_ASSIGNMENT) and row.instrument and row.quantity
    ]
    ended += [
        (search.thing(item[1]), -left, None)
        for item, left in search.open.items()
        if item[0] == "units" and _is_gone(search, item[1])
    ]
    for thing, position, row in ended:
        option = options.parse(thing.symbol) if thing.asset_class == AssetClass.OPTION else None
        shares = next((item for item in search.units if search.thing(item).symbol == thing.underlying), None)
        if option is None or shares is None:
            continue
        units = position * CONTRACT * (1 if option.is_call else -1)
        amounts: dict[Item, Decimal] = {("units", shares): units, ("cash", thing.currency): -units * option.strike}
        on = row.traded_on if row else min(option.expires_on, facts.on)
        kind = Kind.BUY if units > 0 else Kind.SELL
        book = [
            NewRow(
                kind=kind,
                on=on,
                currency=thing.currency,
                instrument=shares,
                quantity=units,
                net=-units * option.strike,
                price=option.strike,
                subtype="exercise",
                text=f"By {option}",
            )
        ]
        if row is None:
            amounts["units", thing.id] = -position
            end = Kind.OPTION_EXERCISE if position > 0 else Kind.OPTION_ASSIGNMENT
            gone = NewRow(kind=end, on=on, currency=thing.currency, instrument=thing.id, quantity=-position)
            book.append(gone)
        yield Finding(
            cause=Cause.EXERCISED,
            amounts=amounts,
            text=f"{option} gave {number(units)} {option.underlying} at {number(option.strike)}.",
            evidence=(row.id,) if row else ids(facts.of(thing.id)),
            fixes=(Fix(action=Action.BOOK, label="Book shares and money", book=tuple(book)),),
        )


def expired(search: Search) -> Iterator[Finding]:
    for instrument, left in search.units.items():
        thing = search.thing(instrument)
        option = options.parse(thing.symbol) if thing.asset_class == AssetClass.OPTION else None
        if option is None or option.expires_on > search.facts.on or not _is_gone(search, instrument):
            continue
        row = NewRow(
            kind=Kind.OPTION_EXPIRATION,
            on=option.expires_on,
            currency=thing.currency,
            instrument=instrument,
            quantity=left,
            text="Expired",
        )
        yield Finding(
            cause=Cause.EXPIRED,
            amounts={("units", instrument): left},
            text=f"It ended on {option.expires_on:%-d %b %Y}.",
            evidence=ids(search.facts.of(instrument)[-5:]),
            fixes=(Fix(action=Action.BOOK, label="Book the expiry", book=(row,)),),
        )


def split(search: Search) -> Iterator[Finding]:
    """All that was held on some day times a ratio, and what was traded since, gives what is reported."""
    for instrument, left in search.units.items():
        held = search.facts.reported.get(("units", instrument))
        if not held or search.thing(instrument).asset_class == AssetClass.OPTION:
            continue
        rows = search.facts.of(instrument)
        told = [row for row in search.facts.elsewhere if row.kind == Kind.SPLIT and row.instrument == instrument]
        for place in range(len(rows), 0, -1):
            before = sum((row.quantity for row in rows[:place]), ZERO)
            after = sum((row.quantity for row in rows[place:]), ZERO)
            found = _ratio(search, instrument, rows, place, before, held - after)
            if found is None:
                continue
            ratio, is_cut = found
            on = _split_day(search, rows, place, told)
            yield _split(search, instrument, left, ratio, on, (*ids(told), *ids(rows[max(0, place - 3) : place])))
            if is_cut:
                yield from _in_lieu(search, instrument, before * ratio.numerator / ratio.denominator + after - held, on)
            break


def _split_day(search: Search, rows: list[Row], place: int, told: list[Row]) -> date:
    if told:
        return told[-1].traded_on
    return rows[place].traded_on if place < len(rows) else search.facts.on


def _ratio(
    search: Search, instrument: int, rows: list[Row], place: int, before: Decimal, now: Decimal
) -> tuple[Fraction, bool] | None:
    """The ratio, and whether a fraction was cut off; None where no usual one fits or the prices contradict it."""
    if before <= 0 or now <= 0:
        return None
    exact = Fraction(now) / Fraction(before)
    ratio, is_cut = (exact, False) if exact in RATIOS else (None, False)
    if ratio is None:
        whole = [
            each
            for each in RATIOS
            if each < 1 and now == (before * each.numerator / each.denominator).quantize(Decimal(1), ROUND_FLOOR)
        ]
        ratio, is_cut = (min(whole, key=lambda each: abs(each - exact)), True) if whole else (None, False)
    if ratio is None or ratio == 1 or not _prices_allow(search, instrument, rows, place, ratio):
        return None
    return ratio, is_cut


def _prices_allow(search: Search, instrument: int, rows: list[Row], place: int, ratio: Fraction) -> bool:
    """The price has fallen by the ratio rather than stayed: nearer to it than to no split. Unknown prices allow it."""
    before = next((row.price for row in reversed(rows[:place]) if row.price), None)
    after = next((row.price for row in rows[place:] if row.price), None) or search.facts.price(instrument)
    if not before or not after:
        return True
    fall = log(before / after)
    return abs(fall - log(ratio)) < abs(fall)


def _split(
    search: Search, instrument: int, left: Decimal, ratio: Fraction, on: date, evidence: tuple[int, ...]
) -> Finding:
    thing = search.thing(instrument)
    words = f"{ratio.numerator}-for-{ratio.denominator}"
    row = NewRow(
        kind=Kind.SPLIT,
        on=on,
        currency=thing.currency,
        instrument=instrument,
        quantity=left,
        subtype="reverse" if ratio < 1 else "",
        text=f"Split {words}",
    )
    return Finding(
        cause=Cause.MISSED_SPLIT,
        amounts={("units", instrument): left},
        text=f"The units differ by a split {words}.",
        evidence=evidence,
        fixes=(Fix(action=Action.BOOK, label="Book the split", book=(row,)),),
    )


def _in_lieu(search: Search, instrument: int, fraction: Decimal, on: date) -> Iterator[Finding]:
    thing = search.thing(instrument)
    paid = search.cash_of(thing.currency)
    if thing.price is None or not ZERO < paid <= fraction * thing.price * Decimal("1.25") + CENT:
        return
    row = NewRow(
        kind=Kind.CORPORATE_ACTION,
        on=on,
        currency=thing.currency,
        instrument=instrument,
        net=paid,
        subtype="cash_in_lieu",
        text="Cash for a fraction",
    )
    yield Finding(
        cause=Cause.CASH_IN_LIEU,
        amounts={("cash", thing.currency): paid},
        text=f"{number(round(fraction, 4))} {thing.title} was left over by the split.",
        fixes=(Fix(action=Action.BOOK, label="Book the cash", book=(row,)),),
    )


def other_units(search: Search) -> Iterator[Finding]:
    for instrument, left in search.units.items():
        thing = search.thing(instrument)
        held = search.facts.reported.get(("units", instrument), ZERO)
        booked = search.facts.derived.get(("units", instrument), ZERO)
        for factor in (*UNITS.get(thing.asset_class, ()), Decimal(-1)):
            if not booked or held != booked * factor:
                continue
            is_sign = factor == -1
            text = "Long here and short there." if is_sign else f"The broker counts {number(factor)} for one here."
            cause = Cause.WRONG_SIGN if is_sign else Cause.WRONG_UNITS
            evidence = ids(search.facts.of(instrument)[-5:])
            yield Finding(cause=cause, amounts={("units", instrument): left}, text=text, evidence=evidence)


def reinvestment(search: Search) -> Iterator[Finding]:
    """Units came and as much money went as a dividend had brought."""
    for row in reversed(search.facts.counting()):
        if row.kind != Kind.DIVIDEND or row.instrument is None or row.net <= 0:
            continue
        units = search.units.get(row.instrument, ZERO)
        price = search.facts.price(row.instrument)
        if units <= 0 or (price and abs(row.net / units - price) > price / 4):
            continue
        bought = NewRow(
            kind=Kind.BUY,
            on=row.traded_on,
            currency=row.currency,
            instrument=row.instrument,
            quantity=units,
            net=-row.net,
            price=round(row.net / units, 6),
            subtype="reinvest",
        )
        yield Finding(
            cause=Cause.REINVESTMENT,
            amounts={("units", row.instrument): units, ("cash", row.currency): -row.net},
            text=f"The dividend of {amount_of(row.net, row.currency)} bought {number(units)} units.",
            evidence=(row.id,),
            fixes=(Fix(action=Action.BOOK, label="Book the units", book=(bought,)),),
        )
