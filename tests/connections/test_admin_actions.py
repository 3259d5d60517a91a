"""What operators do to connections: it works, it is written down with their name, and no secret is shown."""

import pytest
from django.test import Client

from brokerhub.kernel.models import User
from connections.models import AppCredentials, ConnectionEvent
from sync.models import SyncRun

CONNECTIONS = "/admin/connections/connection/"
EVENTS = "/admin/connections/connectionevent/"
APPS = "/admin/connections/appcredentials/"
SCHWAB_APP = {
    "app_key": "AnotherAppKey0000000000000000001",
    "app_secret": "anothersecret0001",
    "callback_url": "https://127.0.0.1:8182",
}


@pytest.fixture
def operator(db):
    return User.objects.create_superuser("operator@example.com", "correct horse battery")


@pytest.fixture
def desk(operator):
    client = Client()
    client.force_login(operator)
    return client


def act(desk, action, connection):
    said = {"action": action, "_selected_action": [str(connection.pk)], "confirmed": "yes", "why": "The owner asked."}
    return desk.post(CONNECTIONS, said, follow=True)


def newest(connection):
    return connection.events.order_by("-pk").first()


def test_check_now_requests_a_sync(desk, operator, person, connect):
    connection = connect(person, "james")
    SyncRun.objects.all().delete()
    assert "is being checked" in act(desk, "check_now", connection).content.decode()
    assert SyncRun.objects.get().connection == connection
    assert (newest(connection).action, newest(connection).actor) == ("check_requested", operator)


def test_a_forced_renewal_gives_other_tokens(desk, operator, person, connect):
    connection = connect(person, "james")
    before = connection.read_credentials()["access_token"]
    act(desk, "force_renewal", connection)
    connection.refresh_from_db()
    assert connection.read_credentials()["access_token"] != before
    assert (newest(connection).action, newest(connection).actor) == ("renewal_forced", operator)


def test_a_renewal_that_fails_is_told_and_shows_in_the_state(desk, person, connect, sandbox):
    connection = connect(person, "james")
    sandbox.end_tokens("james", revoke=True)
    shown = act(desk, "force_renewal", connection).content.decode()
    connection.refresh_from_db()
    assert connection.state == "needs_reauth"
    assert connection.label in shown


def test_a_connection_marked_for_sign_in_waits_for_its_owner(desk, operator, web, person, connect):
    connection = connect(person, "james")
    act(desk, "mark_for_sign_in", connection)
    connection.refresh_from_db()
    assert (connection.state, connection.reason_code) == ("needs_reauth", "by_admin")
    assert newest(connection).actor == operator
    shown = web.get(f"/connections/{connection.pk}/").content.decode()
    assert "An administrator asks you to sign in" in shown
    assert "operator@example.com" not in shown, "who of the operators it was is for the operators"


def test_what_cannot_be_done_is_told_and_stops_nothing_else(desk, person, connect):
    works, waits = connect(person, "james"), connect(person, "maria")
    works.__class__.objects.filter(pk=waits.pk).update(state="disconnected")
    chosen = {"action": "mark_for_sign_in", "_selected_action": [str(works.pk), str(waits.pk)], "confirmed": "yes"}
    chosen["why"] = "Their owners asked."
    shown = desk.post(CONNECTIONS, chosen, follow=True).content.decode()
    works.refresh_from_db()
    assert works.state == "needs_reauth"
    assert "cannot become" in shown


def test_who_may_only_look_cannot_act(person, connect):
    from django.contrib.auth.models import Permission

    connection = connect(person, "james")
    clerk = User.objects.create_user("clerk@example.com", "correct horse battery", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_connection"))
    client = Client()
    client.force_login(clerk)
    assert client.get(CONNECTIONS).status_code == 200
    act(client, "mark_for_sign_in", connection)
    connection.refresh_from_db()
    assert connection.state == "connected"


def test_connections_and_what_happened_to_them_can_be_found(desk, person, connect):
    connection = connect(person, "james")
    act(desk, "mark_for_sign_in", connection)
    waiting = desk.get(f"{CONNECTIONS}?state=needs_reauth&broker=schwab").context["cl"]
    assert list(waiting.queryset) == [connection]
    assert not desk.get(f"{CONNECTIONS}?state=connected&broker=schwab").context["cl"].queryset
    by_way = desk.get(f"{CONNECTIONS}?method=schwab_oauth")
    assert list(by_way.context["cl"].queryset) == [connection]
    assert "Robinhood: Crypto API key" in by_way.content.decode()
    assert not desk.get(f"{CONNECTIONS}?method=ibkr_flex").context["cl"].queryset
    found = desk.get(f"{EVENTS}?q=operator@example.com")
    assert list(found.context["cl"].queryset) == list(ConnectionEvent.objects.filter(action="marked_for_sign_in"))


def test_app_keys_are_entered_for_everybody_and_never_shown_again(desk):
    chosen = desk.post(f"{APPS}add/", {"method": "schwab_oauth"})
    assert chosen.url == f"{APPS}add/?method=schwab_oauth"
    assert 'name="app_secret"' in desk.get(chosen.url).content.decode()
    wrong = desk.post(chosen.url, SCHWAB_APP | {"app_secret": "not a secret!"})
    assert "Letters and digits only" in wrong.content.decode()
    assert desk.post(chosen.url, SCHWAB_APP).status_code == 302
    app = AppCredentials.objects.get()
    assert (app.owner, app.hint, app.read_keys()["app_secret"]) == (None, "Anothe", "anothersecret0001")
    change = f"{APPS}{app.pk}/change/"
    pages = desk.get(change).content.decode() + desk.get(APPS).content.decode()
    assert "Anothe" in pages
    assert SCHWAB_APP["app_key"] not in pages
    assert SCHWAB_APP["app_secret"] not in pages
    desk.post(change, SCHWAB_APP | {"app_secret": "changedsecret0001"})
    app.refresh_from_db()
    assert app.read_keys()["app_secret"] == "changedsecret0001"
    desk.post(f"{APPS}{app.pk}/delete/", {"post": "yes"})
    assert not AppCredentials.objects.exists()


def test_a_persons_own_keys_are_not_an_operators_to_change(desk, person):
    from connections import app_keys
    from connections.brokers.records import AuthMethod

    app = app_keys.enter(owner=person, method=AuthMethod.SCHWAB_OAUTH, values=SCHWAB_APP)
    assert desk.post(f"{APPS}{app.pk}/change/", SCHWAB_APP | {"app_secret": "stolen0001"}).status_code == 403
    app.refresh_from_db()
    assert app.read_keys()["app_secret"] == "anothersecret0001"
    assert desk.get(f"{APPS}{app.pk}/change/").status_code == 200
