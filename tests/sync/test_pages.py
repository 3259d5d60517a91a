"""The sync pages as a person meets them."""

from collections.abc import Callable
from datetime import time, timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import strip_tags

from brokerhub.kernel.models import User
from connections.brokers.records import ParkedRecord
from connections.models import Account, Connection
from connections.states import ConnectionState
from sync import scheduling, sync_service
from sync.models import ParkedRow, Rhythm, RunState, Schedule, SyncRun, Trigger
from sync.parking import park
from tests.aggregation.factories import a_connection, an_account
from tests.journey.books import sync
from tests.plugins.sandbox_server import Sandbox
from tests.sync.samples import fixture

HTMX = {"HX-Request": "true"}


@pytest.fixture
def web(person: User, sign_up: Callable[[User], Client]) -> Client:
    return sign_up(person)


@pytest.fixture
def strangers_web(stranger: User, sign_up: Callable[[User], Client]) -> Client:
    return sign_up(stranger)


def ask(connection: Connection) -> SyncRun:
    return sync_service.request_sync(user=connection.user, connection=connection, trigger=Trigger.MANUAL)


def upload(name: str = "schwab-brokerage.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, fixture(name), content_type="text/csv")


def a_parked_row(account: Account, number: str = "1") -> ParkedRow:
    run = SyncRun.objects.create(
        connection=account.connection, trigger=Trigger.SCHEDULE, mode="incremental", state=RunState.SUCCEEDED
    )
    raw = {"activityId": number, "accountNumber": "4001234599", "type": "NEW_WORD"}
    park(run=run, account=account, parked=[ParkedRecord(external_id=number, reason="unknown type", raw=raw)])
    return ParkedRow.objects.get(run=run)


def test_the_page_says_what_to_do_when_nothing_has_been_synced(web: Client) -> None:
    text = web.get("/sync/").content.decode()
    assert "Nothing has been synced yet" in text
    assert "Connect a broker" in text
    assert "Sync all now" not in text


def test_sync_all_now_starts_each_connection_once(web: Client, person: User) -> None:
    for _ in range(2):
        a_connection(person)
    a_connection(person, state=ConnectionState.NEEDS_REAUTH)
    for _ in range(2):
        assert web.post("/sync/start").headers["Location"] == "/sync/"
    assert SyncRun.objects.filter(state=RunState.QUEUED).count() == 2
    assert web.get("/sync/").content.decode().count("<article") == 2


def test_one_connection_is_started_by_its_button(web: Client, person: User) -> None:
    connection, _other = a_connection(person), a_connection(person)
    web.post("/sync/start", {"connection": connection.pk})
    assert SyncRun.objects.get().connection == connection


def test_starting_with_nothing_to_sync_says_so(web: Client) -> None:
    assert "None of your connections can sync now" in web.post("/sync/start", follow=True).content.decode()


def test_a_connection_without_sign_in_is_refused_in_words(web: Client, person: User) -> None:
    connection = a_connection(person, state=ConnectionState.NEEDS_REAUTH)
    response = web.post("/sync/start", {"connection": connection.pk})
    assert response.status_code == 409
    assert "is not signed in" in response.content.decode()


def test_progress_asks_for_itself_only_while_something_is_under_way(web: Client, person: User) -> None:
    run = ask(a_connection(person))
    SyncRun.objects.filter(pk=run.pk).update(
        state=RunState.RUNNING,
        step="Transactions of Individual ...345: window 3 of 6",
        done=3,
        total=6,
        started_at=timezone.now() - timedelta(seconds=30),
    )
    answer = web.get("/sync/progress", headers=HTMX)
    text = answer.content.decode()
    assert 'hx-trigger="every 1s"' in text
    assert "Transactions of Individual ...345: window 3 of 6" in text
    assert "About 30 s left" in text or "About 31 s left" in text
    assert "HX-Trigger" not in answer.headers
    SyncRun.objects.filter(pk=run.pk).update(state=RunState.SUCCEEDED, finished_at=timezone.now())
    answer = web.get("/sync/progress", headers=HTMX)
    assert "hx-trigger" not in answer.content.decode()
    assert "sync-finished" in answer.headers["HX-Trigger"]


def test_the_page_hears_of_each_run_that_ends_while_others_go_on(web: Client, person: User) -> None:
    first, _second = ask(a_connection(person)), ask(a_connection(person))
    assert "HX-Trigger" not in web.get("/sync/progress?shown=2", headers=HTMX).headers
    sync_service.cancel(first)
    answer = web.get("/sync/progress?shown=2", headers=HTMX)
    assert "sync-finished" in answer.headers["HX-Trigger"]
    assert "/sync/progress?shown=1" in answer.content.decode()


def test_a_wait_names_its_reason_and_its_end(web: Client, person: User) -> None:
    run = ask(a_connection(person))
    SyncRun.objects.filter(pk=run.pk).update(
        state=RunState.WAITING,
        wait_until=timezone.now() + timedelta(minutes=10),
        wait_reason="rate limit",
    )
    text = web.get("/sync/progress").content.decode()
    assert "Waiting for Charles Schwab until" in text
    assert ": rate limit" in text
    assert "in 10 min" in text


def test_a_finished_run_shows_where_every_row_went(
    web: Client, person: User, connect: Callable[..., Connection], sandbox: Sandbox
) -> None:
    connection = connect(person)
    run = sync(connection)
    text = web.get(f"/sync/runs/{run.pk}/").content.decode()
    assert f"{run.fetched:,} rows read = {run.inserted:,} new + 0 already known + 0 corrected + 0 parked" in text
    assert text.count(">Positions and balances</th>") == 2
    assert f'href="/portfolio/transactions/?run={run.pk}"' in text
    again = sync(connection)
    assert "Nothing matches" not in web.get(f"/portfolio/transactions/?run={run.pk}").content.decode()
    assert "Nothing matches" in web.get(f"/portfolio/transactions/?run={again.pk}").content.decode()
    api = "/api/v1/brokerage/transactions"
    assert [len(web.get(api, {"run": each.pk}).json()["results"]) for each in (run, again)] == [100, 0]
    assert "hx-trigger" not in web.get(f"/sync/runs/{run.pk}/", headers=HTMX).content.decode()
    sandbox.fault("410", "transactions")
    partial = sync(connection)
    text = web.get(f"/sync/runs/{partial.pk}/").content.decode()
    assert "Partly done" in text
    assert "Charles Schwab refused the request (410)." in text


@pytest.mark.parametrize(("state", "word"), [("waiting", "Waiting"), ("partial", "Failed"), ("cancelled", "Failed")])
def test_a_part_waits_only_as_long_as_its_run(web: Client, person: User, state: str, word: str) -> None:
    run = ask(a_connection(person))
    part = {"state": "waiting", "detail": "Charles Schwab is away.", "at": "2026-11-20T10:00:00+00:00"}
    SyncRun.objects.filter(pk=run.pk).update(state=state, parts={"holdings:1": part})
    page = web.get(f"/sync/runs/{run.pk}/").content.decode()
    table = page[page.index("Part by part") :]
    assert word in table
    assert ("Waiting" in table) == (word == "Waiting")


def test_a_run_is_cancelled_from_its_page(web: Client, person: User) -> None:
    run = ask(a_connection(person))
    answer = web.post(f"/sync/runs/{run.pk}/cancel", follow=True)
    assert "The run is cancelled" in answer.content.decode()
    run.refresh_from_db()
    assert run.state == RunState.CANCELLED
    late = web.post(f"/sync/runs/{run.pk}/cancel", follow=True)
    assert (late.status_code, late.redirect_chain) == (200, [(f"/sync/runs/{run.pk}/", 302)])
    assert "This run is over already" in late.content.decode()


def test_the_page_leads_to_what_can_be_read_from_each_connection(web: Client, person: User) -> None:
    connection = a_connection(person)
    late, signed_out = a_connection(person), a_connection(person)
    Connection.objects.filter(pk=late.pk).update(label="Late one")
    Connection.objects.filter(pk=signed_out.pk).update(label="Signed out", state=ConnectionState.NEEDS_REAUTH)
    scheduling.set_schedule(connection, rhythm=Rhythm.DAILY, daily_at=time(7, 30))
    for one in (late, signed_out):
        scheduling.schedule_of(one)
        Schedule.objects.filter(connection=one).update(next_at=timezone.now() - timedelta(hours=1))
    text = " ".join(strip_tags(web.get("/sync/").content.decode()).split())
    assert "Every day at 07:30" in text
    assert text.count("Late was due") == 1
    assert "Once you have signed in" in text
    page = web.get("/sync/").content.decode()
    assert f'href="/sync/connections/{connection.pk}/"' in page
    assert page.count("Sync now</button>") == 2
    web.post("/sync/start", {"connection": connection.pk})
    assert SyncRun.objects.get().connection == connection


def test_an_error_says_what_to_do(web: Client, person: User) -> None:
    run = ask(a_connection(person))
    SyncRun.objects.filter(pk=run.pk).update(
        state=RunState.FAILED, error_code="broker_unavailable", error="Charles Schwab does not answer."
    )
    assert "the next sync tries again" in web.get(f"/sync/runs/{run.pk}/").content.decode()
    told = web.get(f"/api/v1/brokerage/sync/runs/{run.pk}").json()["error"]
    assert told["what_to_do"].startswith("You need not do anything")


def test_parked_rows_are_shown_without_account_numbers(web: Client, person: User) -> None:
    row = a_parked_row(an_account(a_connection(person)))
    for address in ("/sync/parked/", f"/sync/runs/{row.run_id}/"):
        text = web.get(address).content.decode()
        assert "unknown type" in text
        assert "NEW_WORD" in text
        assert "4001234599" not in text
    assert "waits for a rule" in web.get("/sync/").content.decode()


def test_strangers_find_nothing(strangers_web: Client, person: User) -> None:
    account = an_account(a_connection(person))
    row = a_parked_row(account)
    run = ask(account.connection)
    for number in (run.pk, row.run_id):
        assert strangers_web.get(f"/sync/runs/{number}/").status_code == 404
        assert strangers_web.post(f"/sync/runs/{number}/cancel").status_code == 404
    assert strangers_web.get(f"/sync/progress?connection={account.connection_id}").status_code == 404
    assert strangers_web.post("/sync/start", {"connection": account.connection_id}).status_code == 404
    for address in ("/sync/", "/sync/progress", "/sync/parked/"):
        text = strangers_web.get(address).content.decode()
        assert account.connection.label not in text.replace("Charles Schwab", "")
        assert "NEW_WORD" not in text
    run.refresh_from_db()
    assert run.state == RunState.QUEUED


@pytest.mark.parametrize("address", ["/sync/", "/sync/progress", "/sync/import/", "/sync/parked/", "/sync/runs/1/"])
def test_pages_ask_for_a_sign_in(client: Client, db: None, address: str) -> None:
    assert client.get(address).headers["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize("address", ["/sync/?before=x", "/sync/parked/?before=-1", "/sync/progress?connection=1"])
def test_an_address_with_nonsense_leads_nowhere(web: Client, address: str) -> None:
    assert web.get(address).status_code == 404


def test_older_runs_are_on_the_next_page(web: Client, person: User) -> None:
    connection = a_connection(person)
    for _ in range(30):
        SyncRun.objects.create(connection=connection, trigger="manual", mode="initial", state="succeeded")
    first = web.get("/sync/").content.decode()
    oldest_shown = SyncRun.objects.order_by("-pk")[24].pk
    assert f"/sync/?before={oldest_shown}" in first
    second = web.get(f"/sync/?before={oldest_shown}").content.decode()
    assert second.count("Succeeded</span>") == 5


def test_lists_cost_the_same_queries_for_one_row_as_for_fifty(web: Client, person: User) -> None:
    def queries(address: str) -> int:
        with CaptureQueriesContext(database) as seen:
            assert web.get(address).status_code == 200
        return len(seen)

    addresses = ("/sync/", "/sync/progress", "/sync/parked/")
    a_parked_row(an_account(a_connection(person)))
    ask(a_connection(person))
    web.get("/sync/")  # the first request of a session costs some more
    few = {address: queries(address) for address in addresses}
    for number in range(50):
        a_parked_row(an_account(a_connection(person)), str(number))
        ask(a_connection(person))
    assert {address: queries(address) for address in addresses} == few
