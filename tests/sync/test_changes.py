"""The feed of changed transactions, and the status that answers when something changes."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection as database
from django.db import transaction
from rest_framework.test import APIClient

from aggregation import ledger
from aggregation.models import Source, Transaction
from brokerhub.kernel.models import User
from connections.models import Account
from sync import waiting
from sync.models import RunState, SyncRun, Trigger
from tests.aggregation.factories import a_connection, a_record, an_account

FEED = "/api/v1/brokerage/transactions/changes"
STATUS = "/api/v1/brokerage/sync/status"


@pytest.fixture
def program(person: User, token_client: Callable[..., APIClient]) -> APIClient:
    return token_client(person)


class Copy:
    """What a program has that keeps a copy of the books by the feed."""

    def __init__(self, program: APIClient) -> None:
        self.program, self.cursor, self.rows = program, "", dict[int, str]()

    def follow(self, limit: int = 2) -> list[Any]:
        """Reads to the end; the pages it got."""
        pages = []
        while True:
            page = self.program.get(FEED, {"cursor": self.cursor, "limit": f"{limit}"}).json()
            self.rows |= {row["id"]: row["net_amount"] for row in page["added"] + page["modified"]}
            for gone in page["removed"]:
                del self.rows[gone]
            self.cursor = page["next_cursor"]
            pages.append(page)
            if not page["has_more"]:
                return pages


def book(account: Account, *names: str, **fields: Any) -> None:
    ledger.book(account=account, records=[a_record(name, **fields) for name in names], source=Source.API, run_id=None)


def the_hubs(program: APIClient) -> dict[int, str]:
    rows = program.get("/api/v1/brokerage/transactions", {"page_size": 100}).json()["results"]
    return {row["id"]: row["net_amount"] for row in rows}


def test_a_copy_follows_what_is_booked_corrected_edited_and_erased(program: APIClient, person: User) -> None:
    account, other = an_account(a_connection(person)), an_account(a_connection(person))
    book(account, "1", "2", "3")
    book(other, "1", "2")
    mine = Copy(program)
    pages = mine.follow()
    assert [len(page["added"]) for page in pages] == [2, 2, 1]
    assert mine.rows == the_hubs(program)
    book(account, "2", description="told otherwise now")
    book(other, "4")
    edited = Transaction.objects.get(account=other, external_id="1")
    Transaction.objects.filter(pk=edited.pk).update(status="excluded")
    (page,) = mine.follow(limit=10)
    assert (len(page["added"]), [row["id"] for row in page["modified"]], len(page["removed"])) == (2, [edited.pk], 1)
    assert mine.rows == the_hubs(program)
    assert mine.follow() == [
        {"added": [], "modified": [], "removed": [], "next_cursor": mine.cursor, "has_more": False}
    ]
    Transaction.objects.filter(account=other).delete()
    other.delete()
    mine.follow()
    assert mine.rows == the_hubs(program)
    assert len(mine.rows) == 3


def test_a_row_that_came_and_went_unseen_is_not_told(program: APIClient, person: User) -> None:
    account = an_account(a_connection(person))
    book(account, "1")
    book(account, "1", description="told otherwise now")
    (page,) = Copy(program).follow()
    assert (len(page["added"]), page["modified"], page["removed"]) == (1, [], [])


@pytest.mark.django_db(transaction=True)
def test_what_commits_later_than_a_younger_change_is_not_missed(token_client: Callable[..., APIClient]) -> None:
    """The one written first becomes visible last: a reader who came in between gets it all the same."""
    slow, quick = an_account(), an_account()
    quick.connection = slow.connection
    quick.save()
    book(quick, "zeroth")  # the instrument is known: nobody waits for whoever writes it
    program = token_client(slow.connection.user)
    mine = Copy(program)
    written, seen = threading.Event(), threading.Event()

    def write_slowly() -> None:
        with transaction.atomic():
            book(slow, "first")
            written.set()
            assert seen.wait(20)
        database.close()

    thread = threading.Thread(target=write_slowly)
    thread.start()
    assert written.wait(20)
    book(quick, "second")
    mine.follow()
    assert len(mine.rows) == 2
    seen.set()
    thread.join(20)
    mine.follow()
    assert len(mine.rows) == 3
    assert mine.rows == the_hubs(program)


def test_the_feed_is_of_ones_own_and_refuses_what_is_no_cursor(
    program: APIClient, person: User, stranger: User, token_client: Callable[..., APIClient]
) -> None:
    book(an_account(a_connection(person)), "1")
    assert Copy(token_client(stranger)).follow()[0]["added"] == []
    for wrong in ("x", "e30=", "eyJhdCI6eyIxIjpbLTEsMF19LCJiYXNlIjp7fX0="):
        answer = program.get(FEED, {"cursor": wrong})
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "invalid_cursor")
    assert program.get(FEED, {"limit": "0"}).status_code == 400


def a_run(person: User) -> SyncRun:
    return SyncRun.objects.create(connection=a_connection(person), trigger=Trigger.MANUAL, mode="initial")


def test_a_status_with_news_answers_at_once(program: APIClient, person: User) -> None:
    run = a_run(person)
    seen = program.get(STATUS).json()
    SyncRun.objects.filter(pk=run.pk).update(state=RunState.SUCCEEDED)
    news = program.get(STATUS, {"wait": 20, "version": seen["version"]}).json()
    assert news["version"] != seen["version"]
    assert not news["syncing"]


def test_a_status_waits_for_what_changes(program: APIClient, person: User, monkeypatch: pytest.MonkeyPatch) -> None:
    run = a_run(person)

    def sleep(seconds: float) -> None:
        SyncRun.objects.filter(pk=run.pk).update(done=1)

    monkeypatch.setattr("sync.waiting.time.sleep", sleep)
    answer = program.get(STATUS, {"wait": 20, "run": run.pk}).json()
    assert answer["connections"][0]["run"]["progress"]["done"] == 1


def test_a_status_answers_at_once_when_all_places_to_wait_are_taken(
    program: APIClient, person: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_run(person)
    monkeypatch.setattr(waiting, "PLACES", threading.BoundedSemaphore(1))
    with waiting.PLACES:
        assert program.get(STATUS, {"wait": 25}).json()["syncing"]


@pytest.mark.django_db(transaction=True)
def test_who_waits_holds_no_transaction(
    token_client: Callable[..., APIClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = a_connection()
    run = SyncRun.objects.create(connection=connection, trigger=Trigger.MANUAL, mode="initial")
    held: list[bool] = []

    def sleep(seconds: float) -> None:
        held.append(database.in_atomic_block or database.connection is not None)
        SyncRun.objects.filter(pk=run.pk).update(done=1)

    monkeypatch.setattr("sync.waiting.time.sleep", sleep)
    token_client(connection.user).get(STATUS, {"wait": 20})
    assert held == [False]
