from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from brokerhub.kernel.models import User
from connections.brokers.calls import Operation
from connections.brokers.records import Broker
from health.health_monitor import Window
from tests.health import calls

pytestmark = pytest.mark.django_db
PATHS = ["/health/", "/health/widget", "/health/badge/schwab"]


@pytest.fixture
def browser(client: Client, caller: User) -> Client:
    client.force_login(caller)
    return client


def busy_hour() -> None:
    """Ten good calls and one failure of each kind, just now."""
    now = timezone.now()
    calls.record(
        *[calls.good(started_at=now, limit=60, remaining=45, period=60)] * 7,
        calls.server_error(started_at=now),
        calls.our_mistake(started_at=now),
        calls.login_refused(started_at=now, operation=Operation.HOLDINGS),
    )


@pytest.mark.parametrize("path", PATHS)
def test_a_stranger_has_to_log_in_first(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("account_login"))


@pytest.mark.parametrize("path", PATHS)
def test_health_is_looked_at_and_not_changed(browser: Client, path: str) -> None:
    assert browser.post(path).status_code == 405


def test_the_board_tells_whose_side_failed(browser: Client) -> None:
    busy_hour()
    page = browser.get("/health/").content.decode()
    assert "Charles Schwab is answering normally." in page
    for words in (
        "Broker's side",
        "Our side",
        "A login",
        "Transactions",
        "Positions and balances",
        "Calls used per minute",
    ):
        assert words in page
    assert page.count("10.0\N{NARROW NO-BREAK SPACE}%") >= 3
    assert "15 of 60" in page


def test_a_broker_nobody_called_is_one_line_on_board_and_widget(browser: Client) -> None:
    busy_hour()
    for path, words in (("/health/", "Not connected, nothing measured"), ("/health/widget", "Not connected")):
        assert browser.get(path).content.decode().count(words) == 3
    calls.record(calls.good(started_at=timezone.now() - timedelta(days=2), broker=Broker.ALPACA))
    cache.clear()
    page = browser.get("/health/").content.decode()
    assert page.count("Not connected, nothing measured") == 2
    assert "No calls in this period" in page


@pytest.mark.parametrize("window", Window)
def test_the_period_can_be_chosen_and_is_marked(browser: Client, window: Window) -> None:
    busy_hour()
    page = browser.get(f"/health/?window={window}").content.decode()
    assert f"Calls, {window.label}" in page
    chosen = page.split(f'id="window-{window}"')[1].split("</a>")[0]
    assert 'aria-current="true"' in chosen


def test_an_unknown_period_shows_an_hour(browser: Client) -> None:
    busy_hour()
    assert "Calls, 1 hour" in browser.get("/health/?window=2y").content.decode()


def test_htmx_gets_the_boards_inside_only(browser: Client) -> None:
    busy_hour()
    part = browser.get("/health/?window=24h", headers={"HX-Request": "true"}).content.decode()
    assert "Calls, 24 hours" in part
    assert "<html" not in part


def test_the_widget_is_a_small_fragment_with_a_line_per_broker(browser: Client) -> None:
    busy_hour()
    answer = browser.get("/health/widget")
    part = answer.content.decode()
    assert len(answer.content) < 15_000
    assert "<html" not in part
    for words in (
        "Charles Schwab",
        "Operational",
        "95 % within",
        "Failed calls",
        "30.0",
        "15 of 60",
        "<progress",
        "/health/schwab/",
    ):
        assert words in part
    assert "Another broker" not in part


def test_the_widget_of_an_unused_hub_says_so_in_a_line_for_each_broker(browser: Client) -> None:
    part = browser.get("/health/widget").content.decode()
    assert part.count("Not connected") == 4
    assert "badge" not in part


def test_the_widget_holds_nothing_of_the_user(browser: Client, caller: User) -> None:
    part = browser.get("/health/widget").content.decode()
    assert caller.email not in part
    other = Client()
    other.force_login(User.objects.create_user("other@example.com", "correct horse battery"))
    assert other.get("/health/widget").content.decode() == part


def test_the_widget_costs_the_same_few_queries_however_much_was_measured(browser: Client) -> None:
    calls.record(calls.good(started_at=timezone.now()))
    assert health_queries(browser) == 5
    assert health_queries(browser) == 0, "everybody shares a reading for some seconds"
    calls.record(*(calls.good(started_at=timezone.now(), operation=each) for each in Operation for _ in range(50)))
    cache.clear()
    assert health_queries(browser) == 5


def health_queries(browser: Client) -> int:
    with CaptureQueriesContext(connection) as asked:
        assert browser.get("/health/widget").status_code == 200
    return sum("health_callbucket" in query["sql"] for query in asked)


def test_a_badge_is_one_brokers_state(browser: Client) -> None:
    busy_hour()
    part = browser.get("/health/badge/schwab").content.decode()
    assert "badge--good" in part
    assert "Operational" in part


@pytest.mark.parametrize("broker", ["other", "nobody"])
def test_a_broker_the_hub_cannot_call_has_no_badge(browser: Client, broker: str) -> None:
    assert browser.get(f"/health/badge/{broker}").status_code == 404


def test_admins_see_the_buckets_and_cannot_change_them(client: Client) -> None:
    client.force_login(User.objects.create_superuser("admin@example.com", "correct horse battery"))
    busy_hour()
    page = client.get("/admin/health/callbucket/").content.decode()
    assert "Charles Schwab" in page
    assert "15 of 60" in page
    assert client.get("/admin/health/callbucket/add/").status_code == 403
