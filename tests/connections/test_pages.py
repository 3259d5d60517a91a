"""The connection pages: their words, their owner, their cost."""

import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse
from django.utils import timezone

from connections import app_keys
from connections.audit import PAGE
from connections.brokers import BROKERS
from connections.brokers.deliveries import Topic, deliveries
from connections.brokers.records import AuthMethod, Broker
from connections.models import Account, Connection, ConnectionEvent, OfferedAccount, UnfinishedRevocation
from connections.states import ConnectionState, Group
from sync.importers import FORMATS


@pytest.fixture
def connection(person):
    row = Connection.objects.create(
        user=person,
        broker="schwab",
        method="schwab_oauth",
        environment="sandbox",
        label="My Schwab",
        state="connected",
        reason_code="",
    )
    Account.objects.create(connection=row, external_id="A1", mask="345", name="Individual", kind="margin")
    return row


OWN_PAGES = [
    ("connections:detail", "get"),
    ("connections:state", "get"),
    ("connections:keys", "get"),
    ("connections:history_keys", "get"),
    ("connections:disconnect", "get"),
    ("connections:disconnect", "post"),
    ("connections:sign_in", "post"),
    ("connections:rename", "post"),
    ("connections:refresh", "post"),
]


@pytest.mark.parametrize(("name", "method"), OWN_PAGES)
def test_somebody_elses_connection_does_not_exist(stranger_web, connection, name, method):
    assert getattr(stranger_web, method)(reverse(name, args=[connection.pk])).status_code == 404


@pytest.mark.parametrize("name", ["connections:list", "connections:cards", "connections:new"])
def test_whoever_has_not_signed_in_is_asked_to(client, name):
    assert client.get(reverse(name)).status_code == 302


def test_a_stranger_sees_none_of_them_in_the_list(stranger_web, connection):
    assert "My Schwab" not in stranger_web.get(reverse("connections:list")).content.decode()


def test_with_no_connection_the_page_invites_to_make_one(web):
    assert "No broker is connected yet" in web.get(reverse("connections:list")).content.decode()


@pytest.mark.parametrize(
    ("state", "reason", "words", "action"),
    [
        (ConnectionState.NEEDS_REAUTH, "authorization_expired", "has run out", "Sign in again"),
        (ConnectionState.RATE_LIMITED, "rate_limit", "only so many requests", None),
        (ConnectionState.EXPIRING, "authorization_expiring", "asks for a new sign-in", "Renew now"),
        (ConnectionState.DISCONNECTED, "by_user", "You disconnected it", "Connect again"),
        (ConnectionState.PENDING_AUTH, "consent_denied", "Access was declined", "Try again"),
    ],
)
def test_a_card_says_what_is_the_matter_and_what_to_do(web, connection, state, reason, words, action):
    Connection.objects.update(state=state, reason_code=reason)
    shown = web.get(reverse("connections:cards")).content.decode()
    assert words in shown
    assert state.label in shown
    assert (action or "Sync now") in shown


def test_the_list_costs_the_same_for_many_as_for_one(web, person, connection, django_assert_max_num_queries):
    web.get(reverse("connections:list"))
    with django_assert_max_num_queries(50) as few:
        web.get(reverse("connections:list"))
    for number in range(12):
        row = Connection.objects.create(
            user=person, broker="schwab", method="schwab_oauth", environment="sandbox", label=f"No {number}"
        )
        Account.objects.create(connection=row, external_id=f"A{number}", name="Account")
    with django_assert_max_num_queries(len(few)):
        web.get(reverse("connections:list"))


def test_a_connection_can_be_renamed(web, connection):
    web.post(reverse("connections:rename", args=[connection.pk]), {"label": "Retirement"})
    connection.refresh_from_db()
    assert connection.label == "Retirement"
    web.post(reverse("connections:rename", args=[connection.pk]), {"label": " "})
    connection.refresh_from_db()
    assert connection.label == "Retirement"


def test_a_name_is_text_and_never_markup(web, connection):
    web.post(reverse("connections:rename", args=[connection.pk]), {"label": "<script>alert(1)</script>"})
    assert "<script>alert" not in web.get(reverse("connections:list")).content.decode()


def test_signing_in_needs_a_post(web, connection):
    assert web.get(reverse("connections:sign_in", args=[connection.pk])).status_code == 405


# --- At a glance ------------------------------------------------------------------------------------------------------
def text_of(answer):
    """The words of a page, without its tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def section(web, name):
    """The words under one heading of the list."""
    page = web.get(reverse("connections:cards")).content.decode()
    found = re.search(rf'<section[^>]*aria-labelledby="group-{name}">(.*?)</section>', page, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", found.group(1)).split()) if found else ""


@pytest.mark.parametrize("state", list(ConnectionState))
def test_every_state_has_its_place_on_the_page(web, connection, state):
    Connection.objects.update(state=state)
    here = [group for group in Group if "My Schwab" in section(web, group)]
    assert here == [state.group]


def test_what_waits_says_until_when(web, person, connection):
    until = timezone.now() + timedelta(minutes=30, seconds=5)
    Connection.objects.update(state="rate_limited", reason_code="rate_limit", state_until=until)
    said = section(web, "waiting")
    assert "in 30 min" in said
    assert f"{until.astimezone(ZoneInfo(person.timezone)):%H:%M}" in said


def test_an_own_app_key_that_is_refused_is_ones_own_to_mend(web, person, connection):
    keys = {"app_key": "own", "app_secret": "own", "callback_url": "https://127.0.0.1:8182"}
    app = app_keys.enter(owner=person, method=AuthMethod.SCHWAB_OAUTH, values=keys)
    Connection.objects.update(state="error", reason_code="app_credentials_refused")
    assert "My Schwab" in section(web, "waiting")
    Connection.objects.update(app=app)
    assert "Check your developer keys" in section(web, "needs_you")


def test_an_unchanged_page_is_not_sent_again(web, connection, django_assert_max_num_queries):
    [seen] = re.findall(r"\?seen=(\w+)", web.get(reverse("connections:list")).content.decode())
    with django_assert_max_num_queries(11):
        unchanged = web.get(reverse("connections:cards"), {"seen": seen})
    assert (unchanged.status_code, unchanged.content) == (204, b"")


@pytest.mark.parametrize(
    "change",
    [
        lambda connection: Connection.objects.update(state="needs_reauth", reason_code="authorization_expired"),
        lambda connection: Connection.objects.update(last_success_at=timezone.now()),
        lambda connection: Connection.objects.update(label="Other"),
        lambda connection: Account.objects.update(closed_on="2026-01-31"),
        lambda connection: OfferedAccount.objects.create(connection=connection, external_id="n", name="New"),
        lambda connection: UnfinishedRevocation.objects.create(
            user=connection.user, broker="schwab", method="schwab_oauth", environment="sandbox", label="Left"
        ),
        lambda connection: connection.delete(),
    ],
)
def test_whatever_changes_is_sent(web, connection, change):
    seen = web.get(reverse("connections:list")).context["seen"]
    change(connection)
    assert web.get(reverse("connections:cards"), {"seen": seen}).status_code == 200


def test_access_that_could_not_be_ended_stands_on_the_page_until_it_is_settled(web, person):
    owed = UnfinishedRevocation.objects.create(
        user=person,
        broker="robinhood",
        method="robinhood_oauth",
        environment="sandbox",
        label="Left",
        attempts=2,
        next_try_at=timezone.now() + timedelta(minutes=4, seconds=50),
    )
    page = text_of(web.get(reverse("connections:list")))
    assert "2 attempts so far. The hub tries again in 5 min" in page
    UnfinishedRevocation.objects.update(gave_up_at=timezone.now())
    assert "End its access on Robinhood's own pages" in text_of(web.get(reverse("connections:list"))).replace(
        "&#x27;", "'"
    )
    web.post(reverse("connections:revocation_dismiss", args=[owed.pk]))
    assert not UnfinishedRevocation.objects.exists()


# --- Before connecting ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", BROKERS)
def test_every_way_says_of_every_topic_whether_it_tells_it(method):
    assert [delivery.topic for delivery in deliveries(method, BROKERS[method].broker)] == list(Topic)


def test_the_choice_names_every_way_with_what_it_cannot_tell(web):
    page = text_of(web.get(reverse("connections:new")))
    for entry in BROKERS.values():
        assert (entry.method.label in page) or not entry.is_offered()
    by_file = any(format.broker is Broker.ROBINHOOD for format in FORMATS.values())
    assert f"Dividends and interest {'By file only' if by_file else 'Not this way'}" in page
    assert "Trades By Flex query" in page


def test_a_way_that_is_not_set_up_says_so_before_the_click(web, settings):
    settings.SCHWAB_APP_KEY = ""
    page = web.get(reverse("connections:new")).content.decode()
    assert "SCHWAB_APP_KEY and SCHWAB_APP_SECRET are missing" in page
    assert reverse("app-keys-method", args=["schwab_oauth"]) in page
    assert "Continue to Charles Schwab" not in page


def test_the_unofficial_login_shows_with_its_warnings_only_where_it_is_switched_on(web, settings):
    assert "Unofficial login" not in web.get(reverse("connections:new")).content.decode()
    assert web.post(reverse("connections:new"), {"method": "robinhood_login"}).status_code == 200
    settings.ROBINHOOD_PRIVATE_LOGIN = True
    page = text_of(web.get(reverse("connections:new")))
    assert "may break its terms" in page


# --- One connection ---------------------------------------------------------------------------------------------------
def test_what_happened_names_who_what_from_to_and_why(web, person, stranger, connection):
    happened = {"connection": connection, "from_state": "connected"}
    ConnectionEvent.objects.create(**happened, action="marked_for_sign_in", to_state="needs_reauth", actor=stranger)
    ConnectionEvent.objects.create(
        **happened, action="failed", to_state="needs_reauth", reason_code="authorization_expired"
    )
    ConnectionEvent.objects.create(connection=connection, action="renamed", detail="New name", actor=person)
    page = text_of(web.get(reverse("connections:detail", args=[connection.pk])))
    assert "An administrator Marked for sign in Connected → to Sign in again" in page
    assert "The hub Update failed Connected → to Sign in again Your sign-in at Charles Schwab has run out." in page
    assert "You Renamed New name" in page


@pytest.mark.parametrize(
    ("query", "count"), [("", 3), ("who=you", 1), ("who=hub", 2), ("what=synced", 2), ("what=nonsense", 3)]
)
def test_the_history_can_be_narrowed(web, person, connection, query, count):
    ConnectionEvent.objects.create(connection=connection, action="renamed", actor=person)
    for _ in range(2):
        ConnectionEvent.objects.create(connection=connection, action="synced")
    page = web.get(f"{reverse('connections:detail', args=[connection.pk])}?{query}")
    assert len(page.context["happened"]) == count


def test_a_long_history_is_read_page_by_page(web, connection):
    for number in range(PAGE + 3):
        ConnectionEvent.objects.create(connection=connection, action="synced", detail=f"No {number}")
    here = reverse("connections:detail", args=[connection.pk])
    first = web.get(f"{here}?what=synced")
    second = web.get(f"{here}?{first.context['older']}")
    told = [line.event.detail for page in (first, second) for line in page.context["happened"]]
    assert told == [f"No {number}" for number in reversed(range(PAGE + 3))]
    assert second.context["older"] == ""


def test_an_offered_account_can_be_added_or_left_out(web, connection):
    offered = OfferedAccount.objects.create(connection=connection, external_id="B", name="Trust", mask="777")
    here = reverse("connections:offered_account", args=[connection.pk, offered.pk])
    assert "also lists Trust …777" in text_of(web.get(reverse("connections:list")))
    web.post(here, {"add": "no"})
    assert "also lists" not in text_of(web.get(reverse("connections:list")))
    assert "Left out" in text_of(web.get(reverse("connections:detail", args=[connection.pk])))
    web.post(here, {"add": "yes"})
    assert list(connection.accounts.values_list("name", flat=True)) == ["Individual", "Trust"]


def test_accounts_that_are_closed_or_gone_are_told_apart(web, connection):
    Account.objects.create(connection=connection, external_id="C", name="Old", closed_on="2026-01-31")
    Account.objects.create(connection=connection, external_id="D", name="Hidden", unlisted_since=timezone.now())
    page = text_of(web.get(reverse("connections:detail", args=[connection.pk])))
    assert "Closed on 31 Jan 2026" in page
    assert "has not listed it since" in page


def test_what_is_left_already_can_only_be_erased(web, connection):
    Connection.objects.update(state="disconnected", reason_code="by_user")
    here = reverse("connections:disconnect", args=[connection.pk])
    page = text_of(web.get(here))
    assert "Erase the history of My Schwab?" in page
    web.post(here, {"history": "erase"})
    assert not Connection.objects.exists()
