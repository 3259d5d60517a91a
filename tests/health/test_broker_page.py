"""One broker's page, its answers to "is it me?", and the forms in which others read health: status page, badge, RSS."""

from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from defusedxml import ElementTree
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from brokerhub.kernel.models import User
from connections.brokers.calls import Attribution
from connections.models import Connection
from connections.states import ConnectionState
from health import charts, feeds
from health.metrics import Tally
from health.models import AlertChoice, Incident, MaintenanceFeed, MaintenanceWindow, StatusSpan
from health.own import is_it_me
from health.tasks import watch
from health.verdicts import Status
from health.watching import watch as look
from tests.aggregation.factories import a_connection
from tests.health import calls
from tests.health.test_maintenance import HOUR, a_window

pytestmark = pytest.mark.django_db
S = ConnectionState


@pytest.fixture(autouse=True)
def no_known_windows(db: None) -> None:
    MaintenanceWindow.objects.all().delete()


def trouble(connection: Connection | None = None) -> None:
    """Three good minutes yesterday, an outage now that was resolved, and some hours of known time."""
    now = timezone.now()
    StatusSpan.objects.create(broker="schwab", status="operational", starts_at=now - 9 * HOUR, ends_at=now - HOUR)
    told = {"limit": 60, "remaining": 45, "period": 60, "connection_id": connection and connection.pk}
    calls.record(*[calls.server_error(started_at=now, **told)] * 30)
    look(now)


@pytest.mark.parametrize(
    ("state", "reason", "status", "side", "title"),
    [
        (S.CONNECTED, "", Status.OPERATIONAL, Attribution.NONE, "All is well"),
        (S.CONNECTED, "", Status.OUTAGE, Attribution.BROKER, "side"),
        (S.NEEDS_REAUTH, "refresh_refused", Status.OPERATIONAL, Attribution.CREDENTIAL, "your sign-in"),
        (S.NEEDS_REAUTH, "refresh_refused", Status.OUTAGE, Attribution.CREDENTIAL, "your sign-in"),
        (S.ERROR, "broker_unavailable", Status.OUTAGE, Attribution.BROKER, "side"),
        (S.ERROR, "broker_unavailable", Status.OPERATIONAL, Attribution.BROKER, "side"),
        (S.ERROR, "unexpected_reply", Status.OPERATIONAL, Attribution.OURS, "our side"),
        (S.ERROR, "app_credentials_refused", Status.OPERATIONAL, Attribution.OURS, "our side"),
        (S.RATE_LIMITED, "rate_limit", Status.OPERATIONAL, Attribution.OURS, "our side"),
        (S.MAINTENANCE, "maintenance", Status.OPERATIONAL, Attribution.BROKER, "maintenance"),
        (S.ERROR, "broker_unavailable", Status.MAINTENANCE, Attribution.BROKER, "maintenance"),
        (S.PENDING_AUTH, "", Status.OUTAGE, Attribution.NONE, ""),
    ],
)
def test_is_it_me(state: str, reason: str, status: Status, side: Attribution, title: str) -> None:
    answer = is_it_me(a_connection(state=state, reason_code=reason), status)
    assert answer.side is side
    assert title in answer.title
    assert answer.needs_person is (side is Attribution.CREDENTIAL)


def test_the_page_of_a_broker_in_trouble_tells_it_all(web: Client, person: User, stranger: User) -> None:
    mine = a_connection(person, label="My Schwab")
    a_connection(stranger, label="Charlie's Schwab")
    a_window(timezone.now() + 5 * HOUR)
    trouble(mine)
    page = web.get("/health/schwab/").content.decode()
    for words in ("Major outage", "My Schwab", "side", "Last 90 days", "How long answers take", "Database upgrade",
                  "Calls of 1 person failed", "How fresh its data are", "documented one", "Open", "15 of 60",
                  "100.0"):  # fmt: skip
        assert words in page, words
    assert "Charlie" not in page
    assert page.count("<rect") == 90


def test_the_page_tells_the_uptime_of_any_time_and_what_is_wrong_with_one(web: Client) -> None:
    trouble()
    now = timezone.localtime()
    asked = {"from": f"{now - 6 * HOUR:%Y-%m-%dT%H:%M}", "to": f"{now - 2 * HOUR:%Y-%m-%dT%H:%M}"}
    page = web.get("/health/schwab/", asked).content.decode()
    assert f"{now - 6 * HOUR:%H:%M} to" in page
    assert (
        "The beginning comes after the end."
        in web.get("/health/schwab/", {"from": asked["to"], "to": asked["from"]}).content.decode()
    )
    assert web.get("/health/schwab/", {"from": "nonsense"}).status_code == 200


@pytest.mark.parametrize("window", ["5m", "1h", "24h", "7d", "30d", "90d", "1y", "nonsense"])
def test_the_page_shows_any_window(web: Client, window: str) -> None:
    trouble()
    assert web.get(f"/health/schwab/?window={window}").status_code == 200


def test_charts_are_on_the_person_s_own_clock_as_all_times_of_the_page() -> None:
    tally = Tally()
    tally.count(calls.good())
    series = {"Test call": [(calls.NOW, tally)]}
    with timezone.override(ZoneInfo("America/New_York")):
        for chart in (charts.latency, charts.errors):
            figure = chart(series, calls.NOW - HOUR, calls.NOW)
            assert figure["data"][0]["x"] == ["2026-11-20T10:30:20"]
            assert figure["layout"]["xaxis"]["range"] == ["2026-11-20T09:30:20", "2026-11-20T10:30:20"]


def test_a_broker_that_was_never_called_has_a_page_too(web: Client) -> None:
    page = web.get("/health/alpaca/").content.decode()
    assert "No calls in this period." in page
    assert "None was seen." in page


def test_the_page_of_no_broker_is_not_found(web: Client) -> None:
    assert web.get("/health/nobody/").status_code == 404


# --- Without a login --------------------------------------------------------------------------------------------------
PUBLIC = [
    "/health/",
    "/health/schwab/",
    "/health/badge/schwab.svg",
    "/health/incidents.rss",
    "/health/api/v2/summary.json",
]


@pytest.mark.parametrize("path", PUBLIC)
def test_a_login_is_needed_unless_the_status_page_is_public(client: Client, settings: Any, path: str) -> None:
    a_connection(label="Somebody's Schwab")
    trouble()
    assert client.get(path).status_code == 302
    settings.HEALTH_PUBLIC = True
    answer = client.get(path)
    assert answer.status_code == 200
    assert "Somebody" not in answer.content.decode()


def test_a_badge_is_an_image_that_says_the_state(web: Client) -> None:
    trouble()
    answer = web.get("/health/badge/schwab.svg")
    image = ElementTree.fromstring(answer.content)
    assert answer["Content-Type"] == "image/svg+xml"
    assert image.tag == "{http://www.w3.org/2000/svg}svg"
    assert image.attrib["aria-label"] == "Charles Schwab: Major outage"
    assert [text.text for text in image.iter("{http://www.w3.org/2000/svg}text")] == ["Charles Schwab", "Major outage"]
    assert b"<script" not in answer.content
    assert web.get("/health/badge/nobody.svg").status_code == 404


def test_rss_names_each_incident_and_planned_maintenance_in_the_form_of_rss_2(web: Client) -> None:
    """By the specification: channel with title, link and description; dates of RFC 822; a guid that is no address."""
    trouble()
    a_window(timezone.now() + 5 * HOUR)
    a_window(timezone.now() + 60 * HOUR)  # too far ahead to be told yet
    answer = web.get("/health/incidents.rss")
    assert answer["Content-Type"] == "application/rss+xml; charset=utf-8"
    rss = ElementTree.fromstring(answer.content)
    assert (rss.tag, rss.attrib["version"]) == ("rss", "2.0")
    assert all(rss.findtext(f"channel/{name}") for name in ("title", "link", "description", "lastBuildDate"))
    incident, planned = rss.findall("channel/item")
    assert incident.findtext("title") == "Charles Schwab: Major outage (open)"
    assert "not answering" in (incident.findtext("description") or "")
    assert planned.findtext("title") == "Charles Schwab: Database upgrade (maintenance, planned)"
    for item in (incident, planned):
        assert parsedate_to_datetime(item.findtext("pubDate") or "") <= timezone.now()
        assert (item.findtext("link") or "").endswith("/health/schwab/")
        guid = item.find("guid")
        assert guid is not None
        assert guid.attrib["isPermaLink"] == "false"
    assert len({item.findtext("guid") for item in (incident, planned)}) == 2


# --- The shape of a status page ---------------------------------------------------------------------------------------
API = "/api/v1/broker/health"


def test_the_summary_has_the_shape_of_a_status_page(api: APIClient) -> None:
    trouble()
    a_window(timezone.now() + HOUR)
    summary = api.get(f"{API}/summary").json()
    assert set(summary) == {"page", "status", "components", "incidents", "scheduled_maintenances"}
    assert summary["status"] == {"indicator": "critical", "description": "Major outage"}
    states = {component["id"]: (component["status"], component["known"]) for component in summary["components"]}
    assert states["schwab"] == ("major_outage", True)
    assert states["alpaca"] == ("operational", False)
    [incident] = summary["incidents"]
    assert (incident["status"], incident["impact"], incident["resolved_at"]) == ("investigating", "critical", None)
    [planned] = summary["scheduled_maintenances"]
    assert (planned["name"], planned["status"], planned["impact"]) == ("Database upgrade", "scheduled", "maintenance")
    assert api.get(f"{API}/components").json()["components"][0]["id"] == "schwab"
    assert api.get(f"{API}/incidents").json()["incidents"] == summary["incidents"]
    assert api.get(f"{API}/scheduled-maintenances/upcoming").json()["scheduled_maintenances"] == [planned]


DOCUMENTS = {
    "status": "status",
    "components": "components",
    "incidents": "incidents",
    "incidents/unresolved": "incidents",
    "scheduled-maintenances": "scheduled_maintenances",
    "scheduled-maintenances/upcoming": "scheduled_maintenances",
    "scheduled-maintenances/active": "scheduled_maintenances",
}
# Of the same objects at a page of Atlassian's; all of them are there, whatever their value.
COMPONENT = {"id", "name", "status", "created_at", "updated_at", "position", "description", "showcase", "group_id",
             "page_id", "group", "only_show_if_degraded"}  # fmt: skip
INCIDENT = {"id", "name", "status", "created_at", "updated_at", "monitoring_at", "resolved_at", "impact", "shortlink",
            "started_at", "page_id", "incident_updates", "components"}  # fmt: skip
LINE = {"id", "status", "body", "incident_id", "created_at", "updated_at", "display_at"}
PLANNED = INCIDENT - {"started_at"} | {"scheduled_for", "scheduled_until"}


def test_tools_find_the_documents_of_a_status_page_below_its_address(client: Client, settings: Any) -> None:
    settings.HEALTH_PUBLIC = True
    trouble()
    a_window(timezone.now() - HOUR / 2)
    a_window(timezone.now() + HOUR)
    told = {name: client.get(f"/health/api/v2/{name}.json").json() for name in ("summary", *DOCUMENTS)}
    page = told["summary"]["page"]
    assert page["url"].endswith("/health/")
    assert page["time_zone"] == "Etc/UTC"
    for name, part in DOCUMENTS.items():
        assert set(told[name]) == {"page", part}
        assert told[name]["page"]["id"] == page["id"]
    assert told["summary"]["components"][0].keys() >= COMPONENT
    [incident] = told["incidents/unresolved"]["incidents"]
    assert incident.keys() >= INCIDENT
    assert incident["incident_updates"][0].keys() == LINE
    every = told["scheduled-maintenances"]["scheduled_maintenances"]
    assert [each["status"] for each in every] == ["in_progress", "scheduled"]
    assert every[0].keys() >= PLANNED
    assert told["scheduled-maintenances/active"]["scheduled_maintenances"] == every[:1]
    assert told["scheduled-maintenances/upcoming"]["scheduled_maintenances"] == every[1:]
    assert client.get("/health/api/v2/history.json").status_code == 404


def test_a_hub_can_read_the_plans_of_another_hub(client: Client, settings: Any) -> None:
    """The reader of status pages, written for others' pages, takes the hub's own."""
    settings.HEALTH_PUBLIC = True
    window = a_window(timezone.now().replace(microsecond=0) + HOUR)
    document = client.get("/health/api/v2/scheduled-maintenances.json").content
    feed = MaintenanceFeed(broker="schwab", kind=MaintenanceFeed.Kind.STATUSPAGE)
    [entry] = feeds._entries(feed, document, timezone.now())
    (there,) = window.occurrences(timezone.now(), timezone.now() + 9 * HOUR)
    assert (entry.title, entry.starts_at, entry.ends_at) == (there.title, there.starts_at, there.ends_at)


def test_a_quiet_hub_is_operational(api: APIClient) -> None:
    summary = api.get(f"{API}/summary").json()
    assert summary["status"]["indicator"] == "none"
    assert summary["incidents"] == summary["scheduled_maintenances"] == []


def test_the_api_tells_uptime_and_when_a_budget_is_used_up(api: APIClient) -> None:
    now = timezone.now()
    StatusSpan.objects.create(broker="schwab", status="operational", starts_at=now - 6 * HOUR, ends_at=now)
    calls.record(*[calls.good(started_at=now, limit=60, remaining=30, period=60)] * 600)
    health = api.get(f"{API}/schwab").json()
    shares = {"share": 1.0, "share_with_maintenance": 1.0, "known_share": pytest.approx(0.25, abs=0.01)}
    assert {name: health["uptime"]["24h"][name] for name in shares} == shares
    assert 0 < health["budget_used_up_in_seconds"] < 60
    assert health["budget"]["limit_source"] == "documented"


# --- Banner, widget, choices ------------------------------------------------------------------------------------------
def test_people_of_a_broker_see_on_every_page_that_it_is_maintained(
    web: Client, person: User, stranger_web: Client
) -> None:
    a_connection(person)
    a_window(timezone.now() - HOUR / 2)
    look()
    page = web.get("/connections/").content.decode()
    assert "Charles Schwab is under planned maintenance until" in page
    assert "your sign-in is fine" in page
    assert "planned maintenance" not in stranger_web.get("/connections/").content.decode()
    AlertChoice.objects.create(user=person, show_banner=False)
    assert "planned maintenance" not in web.get("/connections/").content.decode()


def test_what_comes_tomorrow_is_announced_and_what_comes_every_night_is_not(web: Client, person: User) -> None:
    a_connection(person)
    window = a_window(timezone.now() + 5 * HOUR)
    look()
    assert "plans maintenance" in web.get("/connections/").content.decode()
    window.is_routine = True
    window.save()
    look()
    assert "plans maintenance" not in web.get("/connections/").content.decode()


def test_the_widget_stands_on_the_page_itself_once_it_was_read(web: Client) -> None:
    before = web.get("/settings/").content.decode()
    assert 'hx-trigger="load, every 30s"' in before
    trouble()
    watch()
    page = web.get("/settings/").content.decode()
    assert 'hx-trigger="every 30s"' in page
    assert "Major outage" in page
    assert len(web.get("/health/widget").content) < 15_000
    cache.clear()


def test_a_person_chooses_what_to_be_told(web: Client, person: User) -> None:
    assert "Mail me a day before" in web.get("/health/alerts/").content.decode()
    answer = web.post("/health/alerts/", {"mail_end": "on", "show_banner": "on"}, follow=True)
    assert "Saved." in answer.content.decode()
    choice = AlertChoice.objects.get(user=person)
    assert (choice.mail_before, choice.mail_start, choice.mail_end, choice.show_banner) == (False, False, True, True)


def test_an_incident_that_was_resolved_shows_its_words(web: Client) -> None:
    now = timezone.now()
    incident = Incident.objects.create(
        broker="alpaca", status="outage", first_failure_at=now - HOUR, opened_at=now - HOUR, resolved_at=now,
        operations=["probe"],
    )  # fmt: skip
    incident.updates.create(at=now - timedelta(minutes=5), text="Alpaca is on it.")
    page = web.get("/health/alpaca/").content.decode()
    assert "Alpaca is on it." in page
    assert "Test call." in page
