"""What operators see first: what needs attention, where it is listed, and where a request id leads."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from brokerhub.kernel import desk as registry
from brokerhub.kernel import trace
from brokerhub.kernel.models import ApiToken, User
from connections.models import Connection, ConnectionEvent
from health.models import FailedCall, Incident
from sync import tasks
from sync.models import Mode, ParkedRow, RunState, Schedule, SyncRun, Trigger
from sync.scheduling import schedule_of
from tests.aggregation.factories import a_connection, an_account

QUESTIONS = 30  # one for each kind of thing that may wait, and those of every page


@pytest.fixture
def operator(db):
    return User.objects.create_superuser("operator@example.com", "correct horse battery")


@pytest.fixture
def desk(operator, sign_up):
    return sign_up(operator)


def a_run(connection: Connection, *, minutes_ago: int = 0, **fields: object) -> SyncRun:
    made = {"trigger": Trigger.SCHEDULE, "mode": Mode.INCREMENTAL, "state": RunState.QUEUED} | fields
    run = SyncRun.objects.create(connection=connection, **made)
    SyncRun.objects.filter(pk=run.pk).update(created_at=timezone.now() - timedelta(minutes=minutes_ago))
    return run


def piles(desk: Client, title: str) -> dict[str, int]:
    waiting = desk.get("/admin/").context["waiting"]
    return {pile.words: pile.count for it in waiting if it.item.title == title for pile in it.piles}


def act(desk: Client, model: str, action: str, *rows: Any, **said: Any):
    chosen = {"action": action, "_selected_action": [str(row.pk) for row in rows], "confirmed": "yes", **said}
    return desk.post(f"/admin/{model}/", chosen, follow=True)


# --- What needs attention ---------------------------------------------------------------------------------------------
def some_trouble(times: int) -> None:
    for number in range(times):
        connection = a_connection(state="needs_reauth", reason_code="refresh_refused")
        account = an_account(connection)
        a_run(connection, minutes_ago=30)
        failed = a_run(connection, state=RunState.FAILED, error_code="internal_error", finished_at=timezone.now())
        ParkedRow.objects.create(run=failed, account=account, digest=f"{number}", reason="unknown word", raw={})
        works = a_connection()
        schedule_of(works)
        Schedule.objects.filter(connection=works).update(next_at=timezone.now() - timedelta(hours=1))


def test_what_waits_is_counted_by_reason_and_leads_to_its_list(desk, django_assert_max_num_queries):
    some_trouble(2)
    Incident.objects.create(
        broker="robinhood", status="outage", opened_at=timezone.now(), first_failure_at=timezone.now()
    )
    with django_assert_max_num_queries(QUESTIONS):
        page = desk.get("/admin/")
    waiting = {it.item.title: it for it in page.context["waiting"]}
    expected = {"Failing connections": 2, "Stuck runs": 2, "Late syncs": 2, "Parked rows": 2, "Open incidents": 1}
    assert {title: it.total for title, it in waiting.items() if title in expected} == expected
    for it in waiting.values():
        for pile in it.piles:
            assert desk.get(pile.link).context["cl"].result_count == pile.count, pile
            assert pile.link.replace("&", "&amp;") in page.content.decode()


def test_ten_times_the_trouble_asks_no_more_questions(desk, django_assert_num_queries, django_assert_max_num_queries):
    some_trouble(1)
    desk.get("/admin/")  # what is looked up once a session is known then
    with django_assert_max_num_queries(QUESTIONS) as few:
        desk.get("/admin/")
    some_trouble(10)
    with django_assert_num_queries(len(few)):
        desk.get("/admin/")


def test_counting_ends_somewhere(desk, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(registry, "BOUND", 2)
    for _ in range(4):
        a_connection(state="error", reason_code="refused")
    with django_assert_max_num_queries(QUESTIONS) as asked:
        page = desk.get("/admin/").content.decode()
    assert "<strong>2+</strong>" in page
    assert "at least" in page
    assert not [sql for sql in asked.captured_queries if "COUNT(" in sql["sql"]]


def test_a_silent_worker_and_an_old_queue_are_said_first(desk, person):
    assert "No worker has been heard of" in desk.get("/admin/").content.decode()
    tasks_of_beat()
    a_run(a_connection(person), minutes_ago=7)
    page = desk.get("/admin/")
    assert not page.context["pulse"].is_silent
    assert page.context["pulse"].is_slow
    assert "7 min ago" in page.content.decode()


def tasks_of_beat() -> None:
    from brokerhub.kernel.tasks import heartbeat

    heartbeat()


def test_who_may_not_see_a_list_does_not_see_its_counts(sign_up):
    a_connection(state="error", reason_code="refused")
    clerk = User.objects.create_user("clerk@example.com", "correct horse battery", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_incident"))
    page = sign_up(clerk).get("/admin/")
    assert page.status_code == 200
    assert "Failing connections" not in page.content.decode()
    assert "Open incidents" in page.content.decode()


@pytest.mark.parametrize(
    ("fields", "trouble"),
    [
        ({"minutes_ago": 11}, "not_started"),
        ({"state": RunState.RUNNING, "held_until": timezone.now() - timedelta(hours=1)}, "silent"),
        ({"attempts": 3}, "vain"),
        ({"minutes_ago": 1500, "state": RunState.WAITING}, "long"),
        ({"minutes_ago": 9}, None),
        ({"state": RunState.SUCCEEDED, "minutes_ago": 1500}, None),
    ],
)
def test_a_run_is_stuck_for_a_reason(person, fields, trouble):
    a_run(a_connection(person), **fields)
    stuck: Any = SyncRun.objects.troubled()
    assert [run.trouble for run in stuck] == ([trouble] if trouble else [])


# --- Where a request id leads -----------------------------------------------------------------------------------------
def test_one_box_finds_everything_with_an_id(desk, web, person, connect, unpaced):
    connection = connect(person, "james")
    SyncRun.objects.all().delete()
    web.post("/sync/start", {"connection": connection.pk}, headers={"X-Request-ID": "ask-1"})
    tasks.run(SyncRun.objects.get().pk)
    FailedCall.objects.create(
        started_at=timezone.now(),
        broker="schwab",
        operation="transactions",
        seconds=0.2,
        status=500,
        outcome="server_error",
        attribution="broker",
        correlation_id="broker-9",
        request_id="ask-1",
    )
    with trace.carrying("ask-1"):
        ConnectionEvent.objects.create(connection=connection, action="check_requested")
    page = desk.get("/admin/requests/", {"id": " ask-1 "})
    assert {source.title for source, _ in page.context["found"]} == {
        "Syncs and imports",
        "Events of connections",
        "Calls to brokers that failed",
    }
    shown = page.content.decode()
    assert "POST /sync/start" in shown
    assert "broker-9" in shown
    assert "asked for by ada@example.com" in shown
    for _, rows in page.context["found"]:
        assert all(desk.get(row.link).status_code == 200 for row in rows)


def test_what_an_operator_did_is_found_by_the_id_of_the_request(desk, person):
    act(desk, "kernel/user", "end_sessions", person, why="Lost phone")
    connection = a_connection(person)
    desk.post(
        "/admin/connections/connection/",
        {"action": "mark_for_sign_in", "_selected_action": connection.pk, "confirmed": "yes", "why": "Asked for"},
        headers={"X-Request-ID": "act-1"},
    )
    shown = desk.get("/admin/requests/?id=act-1").content.decode()
    assert "Mark for sign-in. Why: Asked for" in shown
    assert "by operator@example.com" in shown
    assert "Sign in again" in shown or "marked_for_sign_in" in shown


@pytest.mark.parametrize("asked", ["", "two words", "<script>alert(1)</script>", "x" * 65, "never-seen"])
def test_what_is_no_id_or_is_unknown_is_said(desk, asked):
    page = desk.get("/admin/requests/", {"id": asked})
    assert (page.status_code, page.context["found"]) == (200, [])
    assert "<script>alert" not in page.content.decode()


def test_only_staff_search(web, client):
    assert web.get("/admin/requests/?id=x").status_code == 302
    assert client.get("/admin/requests/?id=x").status_code == 302


# --- What operators do ------------------------------------------------------------------------------------------------
def last_line(about: Any) -> tuple[str, str, str]:
    entry = LogEntry.objects.select_related("user", "act").get(object_id=str(about.pk))
    return entry.user.email, entry.get_change_message(), entry.act.why


def test_what_ends_something_asks_first_and_wants_a_reason(desk, person):
    run = a_run(a_connection(person))
    asked = {"action": "cancel", "_selected_action": run.pk}
    page = desk.post("/admin/sync/syncrun/", asked)
    assert "The run ends at once." in page.content.decode()
    unexplained = desk.post("/admin/sync/syncrun/", asked | {"confirmed": "yes", "why": " "})
    assert "This field is required." in unexplained.content.decode()
    run.refresh_from_db()
    assert (run.state, LogEntry.objects.count()) == (RunState.QUEUED, 0)
    act(desk, "sync/syncrun", "cancel", run, why="Runs for nothing")
    run.refresh_from_db()
    assert run.state == RunState.CANCELLED
    assert last_line(run) == (
        "operator@example.com",
        "Cancel the run. Why: Runs for nothing",
        "Runs for nothing",
    )
    assert "operator" not in str(ConnectionEvent.objects.get(action="sync_cancelled"))


def test_a_stuck_run_goes_back_into_the_queue_and_its_old_worker_books_nothing_more(desk, person):
    from uuid import uuid4

    holder = uuid4()
    held = timezone.now() - timedelta(hours=1)
    run = a_run(a_connection(person), state=RunState.RUNNING, held_by=holder, held_until=held, attempts=4)
    act(desk, "sync/syncrun", "requeue", run, why="Its worker is gone")
    run.refresh_from_db()
    assert (run.state, run.attempts, run.held_by) == (RunState.QUEUED, 0, None)
    assert not SyncRun.objects.held(run.pk, holder).exists()
    assert SyncRun.objects.unsent().filter(pk=run.pk).exists()
    SyncRun.objects.filter(pk=run.pk).update(state=RunState.FAILED)
    assert "This run is over" in act(desk, "sync/syncrun", "requeue", run, why="Once more").content.decode()
    assert LogEntry.objects.filter(object_id=run.pk).count() == 1, "what was refused is not in the log as done"


def test_a_paused_schedule_starts_nothing_until_it_is_resumed(desk, web, person):
    schedule = schedule_of(a_connection(person))
    act(desk, "sync/schedule", "pause", schedule, why="The broker asked us to")
    Schedule.objects.filter(pk=schedule.pk, next_at=None).update(every_hours=2)
    tasks.plan_due()
    assert not SyncRun.objects.exists()
    assert "Paused by an administrator" in web.get("/sync/").content.decode()
    web.post(
        f"/sync/connections/{schedule.connection_id}/schedule",
        {"rhythm": "hourly", "every_hours": 6, "daily_at": "07:00"},
    )
    schedule.refresh_from_db()
    assert (schedule.rhythm, schedule.next_at) == ("hourly", None), "its owner's wish is kept for later"
    act(desk, "sync/schedule", "resume", schedule)
    schedule.refresh_from_db()
    assert (schedule.paused_at, schedule.next_at is None) == (None, False)
    events = ConnectionEvent.objects.filter(connection=schedule.connection).values_list("action", "actor__email")
    assert set(events) == {
        ("schedule_paused", "operator@example.com"),
        ("schedule_resumed", "operator@example.com"),
    }


def test_a_word_can_be_read_for_its_owner_and_no_account_number_is_shown(desk, person):
    account = an_account(a_connection(person), external_id="98765432")
    run = a_run(account.connection, state=RunState.SUCCEEDED)
    raw = {"type": "ADR_FEE", "tradeDate": "2021-03-09T05:00:00+0000", "netAmount": -1.25}
    raw["description"] = "ADR FEE 98765432"
    row = ParkedRow.objects.create(run=run, account=account, digest="1", reason="unknown type", raw=raw)
    asked = desk.post("/admin/sync/parkedrow/", {"action": "map_word", "_selected_action": row.pk})
    assert "ADR_FEE" in asked.content.decode()
    assert "98765432" not in asked.content.decode()
    act(desk, "sync/parkedrow", "map_word", row, why="Known word", field="type", kind="fee")
    row.refresh_from_db()
    assert row.resolved_at is not None
    assert person.word_rules.get().word == "ADR_FEE"
    assert account.transactions.get().kind == "fee"


def test_ways_in_are_ended(desk, web, person):
    web.get("/")
    assert person.usersession_set.exists()
    ApiToken.objects.create(user=person)
    assert "has no API token" in act(desk, "kernel/user", "revoke_tokens", person, why="Leaked").content.decode()
    assert not ApiToken.objects.exists()
    act(desk, "kernel/user", "end_sessions", person, why="Leaked")
    assert web.get("/").status_code == 302
    assert LogEntry.objects.filter(object_id=person.pk).count() == 2


def test_an_incident_gets_words_and_is_closed_by_hand(desk, operator):
    now = timezone.now()
    incident = Incident.objects.create(broker="schwab", status="outage", opened_at=now, first_failure_at=now)
    act(desk, "health/incident", "annotate", incident, text="Schwab is on it.")
    act(desk, "health/incident", "close", incident, text="Schwab says it is mended.", why="By phone")
    incident.refresh_from_db()
    assert incident.resolved_at is not None
    assert list(incident.updates.values_list("text", "author")) == [
        ("Schwab is on it.", operator.pk),
        ("Schwab says it is mended.", operator.pk),
    ]
    again = act(desk, "health/incident", "close", incident, text="Again", why="By phone")
    assert "It is closed already." in again.content.decode()


def test_a_row_has_buttons_for_what_may_be_done_and_its_history_says_who_did(desk, sign_up, person):
    connection = a_connection(person)
    page = f"/admin/connections/connection/{connection.pk}/change/"
    assert "Mark for sign-in" in desk.get(page).content.decode()
    said = {"from_row": "yes", "why": "Asked for"}
    landed = act(desk, "connections/connection", "mark_for_sign_in", connection, **said)
    assert landed.request["PATH_INFO"] == page
    history = desk.get(f"/admin/connections/connection/{connection.pk}/history/").content.decode()
    assert "Mark for sign-in. Why: Asked for" in history
    clerk = User.objects.create_user("clerk@example.com", "correct horse battery", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_connection"))
    looks = sign_up(clerk)
    assert "Mark for sign-in" not in looks.get(page).content.decode()
    act(looks, "connections/connection", "force_renewal", connection)
    assert LogEntry.objects.filter(user=clerk).count() == 0


def test_too_many_rows_at_once_are_refused(desk, person, monkeypatch):
    from brokerhub.kernel import acts

    monkeypatch.setattr(acts, "MOST_AT_ONCE", 1)
    rows = [a_connection(person), a_connection()]
    shown = act(desk, "connections/connection", "mark_for_sign_in", *rows, why="All of them").content.decode()
    assert "Choose at most 1 rows at once." in shown
    assert not LogEntry.objects.exists()
