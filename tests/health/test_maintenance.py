"""Planned maintenance: when windows are on, what becomes of calls and syncs, who is told, and where plans come from."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core import mail
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from brokerhub.kernel.models import User
from connections import connection_manager
from connections.brokers import closures
from connections.brokers.base import UnderMaintenance
from connections.brokers.records import Broker
from connections.models import Connection
from connections.states import ConnectionState
from health import alerts, feeds, known_windows, maintenance
from health.health_monitor import Window, measure
from health.maintenance_models import Moment, once
from health.models import AlertChoice, MaintenanceFeed, MaintenanceNotice, MaintenanceWindow, StatusSpan
from health.signals import maintenance_moment
from health.verdicts import Status
from health.watching import watch
from sync import sync_service
from sync.models import RunState, SyncRun, Trigger
from tests.aggregation.factories import a_connection
from tests.health import calls

pytestmark = pytest.mark.django_db
NEW_YORK = ZoneInfo("America/New_York")
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def no_known_windows(db: None) -> None:
    """Those that are shipped are on at certain hours of the real clock; a test that is about them loads them."""
    MaintenanceWindow.objects.all().delete()


def a_window(starts_at: datetime, length: timedelta = HOUR, **fields: Any) -> MaintenanceWindow:
    window = once(Broker.SCHWAB, "Database upgrade", starts_at, starts_at + length, **fields)
    window.save()
    return window


def nightly(zone: str, at: time, lasts: timedelta, repeats: str = "FREQ=DAILY") -> MaintenanceWindow:
    return MaintenanceWindow(
        broker="ibkr", title="Reset", timezone=zone, starts_on=date(2026, 1, 1), starts_time=at, lasts=lasts,
        repeats=repeats, pk=1,
    )  # fmt: skip


# --- When -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("day", "starts", "ends"),
    [
        ((2026, 1, 15), "05:00", "06:30"),  # New York is five hours behind
        ((2026, 7, 15), "04:00", "05:30"),  # four in summer
    ],
)
def test_midnight_is_midnight_in_the_brokers_zone_in_winter_and_summer(
    day: tuple[int, int, int], starts: str, ends: str
) -> None:
    noon = datetime(*day, 12, tzinfo=UTC)
    [found] = nightly("America/New_York", time(0), timedelta(minutes=90)).occurrences(noon - 12 * HOUR, noon)
    assert (f"{found.starts_at:%H:%M}", f"{found.ends_at:%H:%M}") == (starts, ends)


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 8), 2), (date(2026, 11, 1), 4), (date(2026, 6, 1), 3)])
def test_a_window_over_a_change_of_the_clocks_ends_when_the_wall_clock_says_so(day: date, hours: int) -> None:
    """Midnight to three is two hours when clocks go forward, and four when they go back."""
    start = datetime.combine(day, time(), NEW_YORK)
    [found] = nightly("America/New_York", time(0), 3 * HOUR).occurrences(start, start + HOUR)
    assert found.ends_at - found.starts_at == hours * HOUR


def test_a_weekly_window_comes_on_its_day_only_and_one_without_a_rule_once() -> None:
    since = datetime(2026, 2, 1, tzinfo=UTC)
    weekly = nightly("America/New_York", time(18), 7 * HOUR, "FREQ=WEEKLY;BYDAY=SA")
    found = list(weekly.occurrences(since + 12 * HOUR, since + timedelta(days=28)))
    assert [f"{each.starts_at.astimezone(NEW_YORK):%a %H:%M}" for each in found] == ["Sat 18:00"] * 4
    single = nightly("UTC", time(0), HOUR, "")
    assert len(list(single.occurrences(datetime(2025, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)))) == 1


@pytest.mark.parametrize("fields", [{"timezone": "Mars/Base"}, {"repeats": "SOMETIMES"}, {"repeats": "FREQ=MINUTELY"},
                                    {"lasts": timedelta(days=30)}])  # fmt: skip
def test_a_window_that_cannot_be_is_refused(fields: dict[str, Any]) -> None:
    window = nightly("UTC", time(0), HOUR)
    for name, value in fields.items():
        setattr(window, name, value)
    with pytest.raises(ValidationError):
        window.full_clean(exclude=["id"])


def test_the_known_windows_are_loaded_once_and_an_administrators_changes_stay() -> None:
    known_windows.load()
    assert {window.broker for window in MaintenanceWindow.objects.all()} == {"ibkr"}
    assert all(window.source.startswith("https://") for window in MaintenanceWindow.objects.all())
    MaintenanceWindow.objects.filter(key="ibkr-weekend").update(is_active=False)
    known_windows.load()
    assert not MaintenanceWindow.objects.get(key="ibkr-weekend").is_active
    saturday = datetime(2026, 11, 21, 23, tzinfo=NEW_YORK).astimezone(UTC)
    assert maintenance.occurrences(saturday, saturday + timedelta(minutes=1)) == []


@pytest.mark.parametrize(("url", "pauses"), [("", True), ("http://127.0.0.1:8900", False)])
def test_a_real_brokers_hours_pause_nothing_in_the_sandbox(settings: Any, url: str, pauses: bool) -> None:
    settings.BROKERS_SANDBOX_URL = url
    known_windows.load()
    night = datetime(2026, 11, 24, 0, 30, tzinfo=NEW_YORK)
    [reset] = [each for each in maintenance.occurrences(night, night + HOUR / 60) if "America" in each.title]
    assert reset.pauses_syncs is pauses


# --- What becomes of calls and syncs ----------------------------------------------------------------------------------
def test_during_a_window_a_broker_is_under_maintenance_and_its_trouble_is_no_incident() -> None:
    a_window(calls.NOW - HOUR / 2)
    calls.record(*[calls.server_error()] * 30)
    watch(calls.NOW)
    schwab = measure(Window.HOUR, now=calls.NOW)[0]
    assert schwab.status is Status.MAINTENANCE
    assert schwab.maintenance_now is not None
    assert [span.status for span in StatusSpan.objects.of_brokers()] == ["maintenance"]


def test_a_window_that_pauses_nothing_excuses_trouble_and_hides_no_good_answers() -> None:
    a_window(calls.NOW - HOUR / 2, pauses_syncs=False)
    calls.record(*[calls.good()] * 30)
    assert measure(Window.HOUR, now=calls.NOW)[0].status is Status.OPERATIONAL
    calls.record(*[calls.server_error()] * 90)
    assert measure(Window.HOUR, now=calls.NOW)[0].status is Status.MAINTENANCE


def test_a_sync_waits_for_the_end_of_a_window_and_goes_on_by_itself(
    person: User, sandbox: Any, connect: Callable[..., Any]
) -> None:
    connection = connect(person)
    now = timezone.now()
    window = a_window(now - HOUR / 2)
    watch()
    sandbox.control("calls", "DELETE")
    run = sync_service.request_sync(user=person, connection=connection, trigger=Trigger.MANUAL)
    sync_service.run_one(run.pk)
    run.refresh_from_db()
    connection.refresh_from_db()
    assert (run.state, run.wait_reason) == (RunState.WAITING, "maintenance")
    assert run.wait_until == now + HOUR / 2
    assert connection.state == ConnectionState.MAINTENANCE
    assert sandbox.calls() == []
    window.delete()
    watch()
    SyncRun.objects.filter(pk=run.pk).update(wait_until=now)  # its time has come
    sync_service.run_one(run.pk)
    run.refresh_from_db()
    connection.refresh_from_db()
    assert run.state == RunState.SUCCEEDED
    assert connection.state in (ConnectionState.CONNECTED, ConnectionState.EXPIRING)


def test_nobody_is_told_that_a_login_is_broken_during_a_window(
    person: User, sandbox: Any, connect: Callable[..., Any]
) -> None:
    """Whatever the broker would answer: it is not asked."""
    connection = connect(person)
    sandbox.end_tokens(expire=True, revoke=True)
    closures.close(Broker.SCHWAB, timezone.now() + HOUR)
    with pytest.raises(UnderMaintenance):
        connection_manager.refresh_credentials(connection)
    connection.refresh_from_db()
    assert connection.state == ConnectionState.MAINTENANCE
    assert "maintenance" in connection.reason.text


def test_a_window_that_ends_earlier_lets_calls_through_again() -> None:
    window = a_window(calls.NOW - HOUR)
    a_window(timezone.now() - HOUR / 2)
    watch()
    assert closures.closed_until(Broker.SCHWAB) is not None
    MaintenanceWindow.objects.exclude(pk=window.pk).update(is_active=False)
    watch()
    assert closures.closed_until(Broker.SCHWAB) is None


# --- Who is told ------------------------------------------------------------------------------------------------------
def test_each_moment_is_told_once_by_mail_as_the_person_wants() -> None:
    keen = a_connection().user
    AlertChoice.objects.create(user=keen, mail_start=True, mail_end=True)
    usual, quiet = a_connection().user, a_connection().user
    AlertChoice.objects.create(user=quiet, mail_before=False)
    a_connection(broker="alpaca", method="alpaca_oauth")
    start = calls.NOW
    Connection.objects.update(created_at=start - 48 * HOUR)
    a_window(start)
    for at in (start - 30 * HOUR, start - 20 * HOUR, start - 10 * HOUR, start, start + HOUR / 2, start + 2 * HOUR):
        alerts.send_due(at)
        alerts.send_due(at)
    got = {
        user: [message.subject for message in mail.outbox if message.to == [user.email]]
        for user in (keen, usual, quiet)
    }
    assert [len(got[user]) for user in (keen, usual, quiet)] == [3, 1, 0]
    assert len(mail.outbox) == 4
    assert "planned maintenance on Friday, 10:30" in got[usual][0]
    assert "Your syncs wait for its end" in mail.outbox[0].body
    assert "/health/schwab/" in mail.outbox[0].body


def test_what_comes_every_night_is_mailed_to_nobody() -> None:
    a_connection()
    a_window(calls.NOW, is_routine=True)
    assert alerts.send_due(calls.NOW) == 0
    assert mail.outbox == []


def test_the_rest_of_the_hub_hears_each_moment_once(django_capture_on_commit_callbacks: Any) -> None:
    heard: list[Moment] = []

    def hear(moment: Moment, **_: Any) -> None:
        heard.append(moment)

    maintenance_moment.connect(hear)
    a_window(calls.NOW, is_routine=True)
    with django_capture_on_commit_callbacks(execute=True):
        for hours in (-1, -1, 0, 0, 2, 2, 48):
            alerts.send_due(calls.NOW + hours * HOUR)
    maintenance_moment.disconnect(hear)
    assert heard == [Moment.BEFORE, Moment.START, Moment.END]


def test_a_mail_that_could_not_be_sent_goes_out_with_the_next_look(monkeypatch: Any) -> None:
    a_connection()
    Connection.objects.update(created_at=calls.NOW - 48 * HOUR)
    a_window(calls.NOW)

    def away(*_: Any, **__: Any) -> int:
        raise ConnectionRefusedError("the mail server is away")

    with monkeypatch.context() as patched:
        patched.setattr(alerts, "send_mail", away)
        assert alerts.send_due(calls.NOW - HOUR) == 0
    assert MaintenanceNotice.objects.filter(channel="email").count() == 0
    assert alerts.send_due(calls.NOW - HOUR) == 1


# --- Where plans come from --------------------------------------------------------------------------------------------
def a_feed(sandbox: Any, kind: str) -> MaintenanceFeed:
    name = {"icalendar": "maintenance.ics", "statuspage": "scheduled-maintenances.json"}[kind]
    return MaintenanceFeed.objects.create(broker="schwab", kind=kind, url=f"{sandbox.base_url}/_feeds/schwab/{name}")


@pytest.mark.parametrize("kind", ["icalendar", "statuspage"])
def test_a_feed_is_read_again_and_again_and_what_it_names_no_more_is_taken_back(sandbox: Any, kind: str) -> None:
    sandbox.control("plans", "DELETE", broker="schwab")
    tomorrow = (timezone.now() + timedelta(days=1)).replace(microsecond=0)
    sandbox.control("plans", broker="schwab", title="New network", starts_at=tomorrow.isoformat(), minutes=90)
    feed = a_feed(sandbox, kind)
    assert feeds.read(feed)
    assert feeds.read(feed)
    [found] = maintenance.occurrences(timezone.now(), timezone.now() + timedelta(days=2))
    assert (found.title, found.starts_at, found.ends_at) == ("New network", tomorrow, tomorrow + 1.5 * HOUR)
    sandbox.control("plans", "DELETE", broker="schwab")
    assert feeds.read(feed)
    assert not MaintenanceWindow.objects.exists()


def test_a_calendars_repetition_is_written_out_by_its_own_rule(sandbox: Any) -> None:
    sandbox.control("plans", "DELETE", broker="schwab")
    start = (timezone.now() + timedelta(hours=3)).replace(microsecond=0)
    sandbox.control(
        "plans", broker="schwab", title="Weekly", starts_at=start.isoformat(), minutes=30, rule="FREQ=WEEKLY;COUNT=4"
    )
    feed = a_feed(sandbox, "icalendar")
    feeds.read(feed)
    found = maintenance.occurrences(timezone.now(), timezone.now() + timedelta(days=40))
    assert [each.starts_at - start for each in found] == [timedelta(weeks=n) for n in range(4)]
    sandbox.control("plans", "DELETE", broker="schwab")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.com/a.ics", "https"),
        ("{sandbox}/_feeds/nobody/maintenance.ics", "404"),
        ("{sandbox}/_control/", "not a feed"),
    ],
)
def test_a_feed_that_cannot_be_read_says_why_and_takes_nothing_back(sandbox: Any, url: str, why: str) -> None:
    feed = MaintenanceFeed.objects.create(broker="schwab", kind="statuspage", url=url.format(sandbox=sandbox.base_url))
    window = a_window(timezone.now() + HOUR, feed=feed, external_id="known")
    assert not feeds.read(feed)
    assert why in feed.error
    assert MaintenanceWindow.objects.filter(pk=window.pk).exists()


def test_administrators_add_windows_and_switch_off_shipped_ones(client: Client) -> None:
    known_windows.load()
    client.force_login(User.objects.create_superuser("admin@example.com", "correct horse battery"))
    facts = {"broker": "schwab", "title": "Move", "timezone": "America/New_York", "starts_on": "2026-12-01",
             "starts_time": "22:00", "lasts": "04:00:00", "repeats": "", "is_active": "on"}  # fmt: skip
    assert client.post("/admin/health/maintenancewindow/add/", facts | {"timezone": "Mars"}).status_code == 200
    assert client.post("/admin/health/maintenancewindow/add/", facts).status_code == 302
    assert MaintenanceWindow.objects.get(title="Move").lasts == 4 * HOUR
    everything = [f"{window.pk}" for window in MaintenanceWindow.objects.all()]
    asked = {"action": "delete_selected", "_selected_action": everything, "post": "yes"}
    client.post("/admin/health/maintenancewindow/", asked)
    assert MaintenanceWindow.objects.filter(key__isnull=False).count() == len(known_windows.KNOWN)
