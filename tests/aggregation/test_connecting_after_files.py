"""A person with years of files connects the broker, or brings old files to a feed: the overlap is matched."""

import random
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import transaction

from aggregation.models import PossibleDuplicate
from connections.brokers.records import TransactionKind, TransactionRecord
from tests.aggregation.factories import AAPL, BND, CALL, a_connection, a_record, an_account
from tests.aggregation.test_booking import book_api, book_file

pytestmark = pytest.mark.django_db
Content = tuple[str, date, str, Decimal]


def a_history(dice: random.Random) -> list[TransactionRecord]:
    """What really happened over two years: fills in bursts of equal ones, dividends, deposits."""
    rows: list[TransactionRecord] = []
    on = date(2024, 1, 2)
    for _ in range(dice.randint(10, 40)):
        on += timedelta(days=dice.randint(0, 12))
        instrument = dice.choice((AAPL, BND, CALL))
        units, price = Decimal(dice.randint(1, 5)), Decimal(dice.randint(100, 130))
        fill = a_record(
            traded_on=on, instrument=instrument, quantity=units, net_amount=-units * price, gross_amount=None
        )
        money = a_record(
            traded_on=on,
            kind=dice.choice((TransactionKind.DIVIDEND, TransactionKind.DEPOSIT)),
            instrument=None,
            quantity=None,
            net_amount=price,
            gross_amount=None,
        )
        rows += [dice.choice((fill, fill, money))] * dice.choice((1, 1, 1, 2, 3))
    return rows


def contents(rows: list[TransactionRecord]) -> Counter[Content]:
    return Counter(
        (row.kind.value, row.traded_on, row.instrument.symbol if row.instrument else "", row.net_amount) for row in rows
    )


def check_pair(seed: int) -> None:
    """Files up to a day, the feed from a day before it on, in either order and in pages: everything counts once."""
    dice = random.Random(seed)
    history = a_history(dice)
    feed_from = history[dice.randrange(len(history))].traded_on
    files_to = feed_from + timedelta(days=dice.randint(0, 200))
    files = [row for row in history if row.traded_on <= files_to]
    feed = [
        replace(row, external_id=f"id-{number}", description="As the broker says it")
        for number, row in enumerate(history)
        if row.traded_on >= feed_from
    ]
    half = files[: len(files) // 2][-1].traded_on if len(files) > 1 else files_to
    exports = [[row for row in files if row.traded_on <= half], files]  # an older export that the newer one contains
    pages = [feed[start : start + 7] for start in range(0, len(feed), 7)]
    dice.shuffle(pages)
    account = an_account(a_connection())
    jobs = [(book_file, rows) for rows in exports] + [(book_api, rows) for rows in pages]
    if dice.random() < 0.5:
        jobs = [(book_api, rows) for rows in pages] + [(book_file, rows) for rows in exports]
    for work, rows in jobs:
        work(account, *rows)
    told = account.transactions.in_books().values_list("kind", "traded_on", "instrument__symbol", "net_amount")
    counted = Counter((kind, on, symbol or "", amount) for kind, on, symbol, amount in told)
    assert counted == contents(history), f"seed {seed}"
    assert account.transactions.in_books().filter(source="api").count() == len(feed), f"seed {seed}"
    assert not PossibleDuplicate.objects.waiting().filter(account=account).exists(), f"seed {seed}"


def check_pairs(count: int) -> None:
    for seed in range(count):
        with transaction.atomic():  # rolled back, or the locks of all its temporary tables pile up in one transaction
            check_pair(seed)
            transaction.set_rollback(True)


def test_file_histories_and_feeds_meet_without_a_double_or_a_false_merge():
    check_pairs(20)


@pytest.mark.endurance
def test_five_hundred_file_histories_and_feeds_meet_without_a_double_or_a_false_merge():
    check_pairs(500)
