"""Files and a feed of one account that differ as in life: nothing is merged falsely, nothing is told twice silently."""

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction

from aggregation import review
from aggregation.ledger import book
from aggregation.models import PAST, BookStatus, PossibleDuplicate, Source, Transaction
from connections.brokers.records import AssetClass, InstrumentRecord, TransactionKind, TransactionRecord
from connections.models import Account
from tests.aggregation.factories import AAPL, BND, a_connection, a_record, an_account

pytestmark = pytest.mark.django_db
OTHER_SPELLING = {
    None: None,
    AAPL: InstrumentRecord(asset_class=AssetClass.EQUITY, symbol="AAPL.O"),
    BND: InstrumentRecord(asset_class=AssetClass.ETF, symbol="BND.US"),
}


@dataclass(frozen=True)
class Event:
    """An order with its executions, or one movement of money. Amounts of two events are never near each other."""

    number: int
    rows: tuple[TransactionRecord, ...]

    @property
    def on(self) -> date:
        return self.rows[0].traded_on


@dataclass(frozen=True)
class Words:
    """How one source tells an event. At least one thing stays: money where the symbol differs, days for an order."""

    source: Source
    has_ids: bool
    on_settlement: bool = False
    before_fees: bool = False
    rounds: bool = False
    spells: bool = False
    by_order: bool = False

    def tell(self, event: Event, teller: str) -> list[TransactionRecord]:
        rows = [self._row(row, event) for row in event.rows]
        if self.by_order and len(rows) > 1:
            rows = [_sum(rows)]
        return [
            replace(row, external_id=f"{teller}-{event.number}-{place}" if self.has_ids else "")
            for place, row in enumerate(rows)
        ]

    def _row(self, row: TransactionRecord, event: Event) -> TransactionRecord:
        net, cent = (
            row.net_amount + (row.fees if self.before_fees else 0),
            Decimal("0.01") if self.rounds and row.quantity else 0,
        )
        return replace(
            row,
            traded_on=row.settled_on if self.on_settlement and row.settled_on else row.traded_on,
            settled_on=None if self.source == Source.CSV else row.settled_on,
            instrument=OTHER_SPELLING[row.instrument] if self.spells else row.instrument,
            fees=Decimal(0) if self.before_fees else row.fees,
            net_amount=net + cent,
            gross_amount=None if self.source == Source.CSV else row.gross_amount,
            raw={"event": event.number},
        )


def _sum(rows: list[TransactionRecord]) -> TransactionRecord:
    return replace(
        rows[0],
        quantity=sum((row.quantity or Decimal(0) for row in rows), Decimal(0)),
        net_amount=sum((row.net_amount for row in rows), Decimal(0)),
        fees=sum((row.fees for row in rows), Decimal(0)),
        gross_amount=None,
    )


def a_history(dice: random.Random) -> list[Event]:
    events, on = [], date(2024, 1, 2)
    for number in range(dice.randint(4, 14)):
        on += timedelta(days=dice.randint(0, 9))
        price = Decimal(1000 + 37 * number) / 10
        if dice.random() < 0.7:
            rows = _executions(dice, number, on, price)
        else:
            rows = [_money(dice.choice((TransactionKind.DIVIDEND, TransactionKind.DEPOSIT)), on, price)]
        events.append(Event(number, tuple(rows)))
    return events


def _executions(dice: random.Random, number: int, on: date, price: Decimal) -> list[TransactionRecord]:
    """One to four fills of an order, some of them equal, in an amount no other order comes near."""
    instrument, fee = dice.choice((AAPL, BND)), Decimal(dice.choice((0, 1)))
    sizes = [Decimal(dice.choice((1, 1, 2, 3)) * (number + 7)) for _ in range(dice.choice((1, 1, 2, 3, 4)))]
    return [
        a_record(
            traded_on=on,
            settled_on=on + timedelta(days=1),
            instrument=instrument,
            quantity=units,
            gross_amount=-units * price,
            fees=fee,
            net_amount=-units * price - fee,
            group_id=f"order-{number}",
        )
        for units in sizes
    ]


def _money(kind: TransactionKind, on: date, amount: Decimal) -> TransactionRecord:
    paid_on = on + timedelta(days=2) if kind == TransactionKind.DIVIDEND else None
    nothing: dict[str, Any] = {"quantity": None, "price": None, "gross_amount": None}
    instrument = AAPL if kind == TransactionKind.DIVIDEND else None
    return a_record(
        traded_on=on, kind=kind, instrument=instrument, settled_on=paid_on, net_amount=amount * 7, **nothing
    )


STYLES = {
    "orders": ("plain", "order", "order", "money"),  # executions are found by the day and the symbol
    "days": ("plain", "days", "money", "settled money"),
    "spelling": ("plain", "spelling", "days", "money"),
}


def some_words(dice: random.Random, source: Source, world: str) -> Words:
    style = dice.choice(STYLES[world])
    return Words(
        source=source,
        has_ids=source == Source.API or dice.random() < 0.5,
        on_settlement=style in ("days", "settled money"),
        before_fees="money" in style or (style == "order" and dice.random() < 0.5),
        rounds="money" in style and world == "days" and dice.random() < 0.3,
        spells=style == "spelling",
        by_order=style == "order",
    )


def check(seed: int) -> Counter[str]:
    """One account; what was asked, by reason."""
    dice = random.Random(seed)
    events, account = a_history(dice), an_account(a_connection())
    days = [event.on for event in events]
    jobs: list[tuple[Source, list[TransactionRecord]]] = []
    world = dice.choice(("orders", "days", "spelling"))
    for teller in ("feed", "one", "two")[: dice.choice((2, 3, 3))]:
        words = some_words(dice, Source.API if teller == "feed" else Source.CSV, world)
        if teller == "feed":
            words = replace(words, spells=False, on_settlement=False)
        start = dice.choice((days[0], dice.choice(days)))
        end = max(start, dice.choice((days[-1], dice.choice(days))))
        told = [(event, words.tell(event, teller)) for event in events if start <= event.on <= end]
        jobs += _deliveries(dice, words.source, told)
    dice.shuffle(jobs)
    for source, rows in jobs:
        book(account=account, records=rows, source=source, run_id=None)
    nothing_is_merged_falsely(account, jobs, seed)
    asked = answer_everything(account)
    each_event_counts_once(account, events, jobs, seed)
    return asked


def _deliveries(
    dice: random.Random, source: Source, told: list[tuple[Event, list[TransactionRecord]]]
) -> list[tuple[Source, list[TransactionRecord]]]:
    """A feed in pages, or a file and an older export that it contains; days stay whole in a file."""
    every = [row for _, rows in told for row in rows]
    if source == Source.API:
        return [(source, every[start : start + 5]) for start in range(0, len(every), 5)]
    until = dice.choice([event.on for event, _ in told])
    return [(source, every), (source, [row for event, rows in told for row in rows if event.on <= until])]


def nothing_is_merged_falsely(account: Account, jobs: list[tuple[Source, list[TransactionRecord]]], seed: int) -> None:
    for proof in account.transactions.filter(status=BookStatus.DUPLICATE).select_related("superseded_by"):
        counts = proof.superseded_by
        assert counts is not None
        assert (proof.raw, proof.content_key) == (counts.raw, counts.content_key), f"seed {seed}"
    for source, rows in jobs:
        told = Counter((row.raw["event"], row.net_amount) for row in rows)
        own = account.transactions.filter(source=source).exclude(status__in=PAST)
        assert told <= Counter((row.raw["event"], row.net_amount) for row in own), f"seed {seed}"


def answer_everything(account: Account) -> Counter[str]:
    """“The same” to every question, as long as there are any."""
    asked: Counter[str] = Counter()
    user = account.connection.user
    while (question := PossibleDuplicate.objects.waiting().filter(account=account).for_list().first()) is not None:
        assert len({row.raw["event"] for row in question.rows}) == 1, "asked about two events"
        asked.update(question.reasons)
        review.merge(question, user=user)
    return asked


def each_event_counts_once(
    account: Account, events: list[Event], jobs: list[tuple[Source, list[TransactionRecord]]], seed: int
) -> None:
    counted: dict[int, list[Transaction]] = defaultdict(list)
    for row in account.transactions.in_books():
        counted[row.raw["event"]].append(row)
    told: dict[int, set[Source]] = defaultdict(set)
    for source, records in jobs:
        for record in records:
            told[record.raw["event"]].add(source)
    for event in events:
        rows, where = counted[event.number], f"seed {seed}, event {event.number}"
        if event.number not in told:
            assert rows == [], where
            continue
        assert len(rows) in (1, len(event.rows)), where
        assert sum(row.quantity or 0 for row in rows) == sum(record.quantity or 0 for record in event.rows), where
        truth = sum(record.net_amount for record in event.rows)
        cash = sum(row.net_amount for row in rows)
        costs = sum(record.fees for record in event.rows)
        assert truth <= cash <= truth + costs + Decimal("0.01") * len(rows), where
        if Source.API in told[event.number]:
            assert {row.source for row in rows} == {"api"}, where


def check_all(count: int) -> Counter[str]:
    asked: Counter[str] = Counter()
    for number in range(count):
        with transaction.atomic():  # rolled back, or the locks of all its temporary tables pile up in one transaction
            asked += check(number)
            transaction.set_rollback(True)
    return asked


def test_what_is_told_in_other_words_is_asked_about_and_counts_once_when_answered() -> None:
    assert {"same", "sum", "settlement", "fees", "symbol"} <= set(check_all(20))


@pytest.mark.endurance
def test_five_hundred_accounts_told_in_other_words_count_once_when_answered() -> None:
    check_all(500)
