"""Whose registration at the broker a sign-in uses: the person's own, an administrator's, the environment's."""

from urllib.parse import parse_qs, urlsplit

import pytest

from brokerhub.kernel.errors import NotAllowed
from connections import app_keys, connection_manager
from connections.brokers import BROKERS, NotConfigured
from connections.brokers.base import KeysRefused
from connections.brokers.records import AuthMethod
from connections.models import AppCredentials, Connection

SCHWAB = BROKERS[AuthMethod.SCHWAB_OAUTH]
CALLBACK = "https://127.0.0.1:8182"
SECOND = {
    "app_key": "sandbox0schwab0app0key0000000002",
    "app_secret": "sandboxsecret002",
    "callback_url": CALLBACK,
}


def enter(owner=None, **changes):
    return app_keys.enter(owner=owner, method=AuthMethod.SCHWAB_OAUTH, values=SECOND | changes)


def app_of(user):
    return app_keys.for_sign_in(user=user, entry=SCHWAB)[0]["app_key"]


def test_own_keys_come_before_an_administrators_and_these_before_the_environments(person, stranger, settings):
    assert app_of(person) == settings.SCHWAB_APP_KEY
    enter(app_key="foreverybody")
    assert app_of(person) == app_of(stranger) == "foreverybody"
    enter(person, app_key="onlyforme")
    assert (app_of(person), app_of(stranger)) == ("onlyforme", "foreverybody")


def test_entering_them_again_changes_them_in_place(person):
    first, second = enter(person), enter(person, app_secret="another")
    assert first.pk == second.pk
    assert second.read_keys()["app_secret"] == "another"


def test_a_hub_without_any_keys_says_what_is_missing_and_what_to_do(person, settings):
    settings.SCHWAB_APP_KEY = ""
    with pytest.raises(NotConfigured, match=r"SCHWAB_APP_KEY.*under Settings"):
        app_keys.for_sign_in(user=person, entry=SCHWAB)


@pytest.mark.parametrize("field", ["app_key", "app_secret"])
def test_keys_that_cannot_be_right_are_refused_by_name(person, field):
    with pytest.raises(KeysRefused) as refusal:
        enter(person, **{field: "with a blank"})
    assert refusal.value.field == field
    assert not AppCredentials.objects.exists()


def test_a_live_callback_has_to_be_one_schwab_registers(person, settings):
    settings.BROKERS_SANDBOX_URL = ""
    with pytest.raises(KeysRefused, match="https"):
        enter(person, callback_url="http://localhost:8000/")


def test_nothing_of_them_can_be_read_at_rest_or_in_print(person):
    app = enter(person)
    for text in (repr(app), str(app), repr(app.read_keys()), bytes(app.sealed_values).decode("latin1")):
        assert SECOND["app_secret"] not in text
        assert SECOND["app_key"] not in text


def test_a_lost_key_asks_to_enter_them_again(person, settings):
    enter(person)
    settings.CREDENTIALS_KEYS = {"other": b"x" * 32}
    with pytest.raises(NotConfigured, match="enter them again"):
        app_keys.for_sign_in(user=person, entry=SCHWAB)


def test_a_connection_signed_in_with_own_keys_works_and_renews_with_them(connect, person, settings):
    enter(person)
    settings.SCHWAB_APP_KEY = settings.SCHWAB_APP_SECRET = ""
    connection = connect(person)
    connection_manager.refresh_credentials(connection)
    assert connection_manager.connector_for(connection).accounts()
    assert connection.state == "connected"


def test_a_connection_goes_on_with_the_app_it_was_given_to(connect, person):
    connection = connect(person)
    enter(person)
    connection_manager.refresh_credentials(connection)
    assert connection.app is None
    assert connection_manager.connector_for(connection).accounts()


@pytest.mark.parametrize("by_a_new_connect", [True, False])
def test_the_same_login_by_another_app_stays_the_same_connection_and_accounts(
    connect, person, sandbox, by_a_new_connect
):
    before = connect(person)
    accounts = list(before.accounts.values_list("pk", "mask"))
    app = enter(person)
    if by_a_new_connect:
        after = connect(person)
    else:
        landed = sandbox.sign_in(connection_manager.start_oauth(connection=before))
        answer = {name: values[0] for name, values in parse_qs(urlsplit(landed).query).items()}
        after = connection_manager.complete_oauth(user=person, answer=answer)
    assert (after.pk, after.app) == (before.pk, app)
    assert list(after.accounts.values_list("pk", "mask")) == accounts
    assert Connection.objects.count() == 1
    assert connection_manager.connector_for(after).holdings(after.accounts.first().external_id).balances


def test_another_login_by_another_app_is_another_connection(connect, person):
    maria = connect(person)
    enter(person)
    james = connect(person, "james")
    assert maria.pk != james.pk


def test_keys_in_use_cannot_be_removed_and_after_disconnecting_they_can(connect, person):
    app = enter(person)
    connection = connect(person)
    with pytest.raises(NotAllowed, match="1 connection still works"):
        app_keys.remove(app)
    connection_manager.disconnect(connection=connection, actor=person)
    app_keys.remove(app)
    assert not AppCredentials.objects.exists()


@pytest.mark.parametrize("left_before", [False, True])
def test_keys_replaced_in_place_by_those_of_another_app_keep_connection_and_accounts(
    connect, person, settings, left_before
):
    enter(person)
    before = connect(person)
    accounts = list(before.accounts.values_list("pk", flat=True))
    if left_before:
        connection_manager.disconnect(connection=before, actor=person)
    enter(person, app_key=settings.SCHWAB_APP_KEY, app_secret=settings.SCHWAB_APP_SECRET)
    after = connect(person)
    assert after.pk == before.pk
    assert list(after.accounts.values_list("pk", flat=True)) == accounts


def test_another_app_in_the_environment_keeps_connection_and_accounts(connect, person, settings):
    before = connect(person)
    settings.SCHWAB_APP_KEY, settings.SCHWAB_APP_SECRET = SECOND["app_key"], SECOND["app_secret"]
    settings.SCHWAB_CALLBACK_URL = CALLBACK
    assert connect(person).pk == before.pk
    assert Connection.objects.count() == 1


def test_going_back_to_the_environments_app_after_leaving_keeps_connection_and_accounts(connect, person):
    app = enter(person)
    before = connect(person)
    connection_manager.disconnect(connection=before, actor=person)
    app_keys.remove(app)
    assert connect(person).pk == before.pk
    assert Connection.objects.count() == 1
