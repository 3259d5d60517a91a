"""Pages on which keys are typed in, made, or asked for one after the other; and a person's own developer keys."""

import re
from html import unescape

import pytest
from django.urls import reverse

from connections.models import AppCredentials, Authorization, Connection

NEW = reverse("connections:new")
SCHWAB_APP = {
    "app_key": "sandbox0schwab0app0key0000000002",
    "app_secret": "sandboxsecret002",
    "callback_url": "https://127.0.0.1:8182",
}
OWN_KEYS = reverse("app-keys-method", args=["schwab_oauth"])
HTMX = {"HX-Request": "true", "HX-Target": "dialogue"}
LOGIN = {"username": "maria@example.test", "password": "sandbox"}


def hidden(page, name):
    [value] = re.findall(rf'name="{name}" value="([^"]*)"', page)
    return unescape(value)


# --- Keys the hub has made --------------------------------------------------------------------------------------------
@pytest.fixture
def crypto(web, person, unpaced):
    """The page for a crypto key, where a key pair is waiting."""
    return web.post(NEW, {"method": "robinhood_crypto"}).url


def test_the_public_key_is_there_to_be_copied_and_stays_the_same(web, crypto, sandbox, person):
    page = web.get(crypto)
    [shown] = page.context["shown"]
    assert f'value="{shown.value}"' in page.content.decode()
    assert "readonly" in page.content.decode()
    assert web.post(crypto, {"api_key": "mistyped"}).context["shown"] == (shown,), "a mistyped key keeps the pair"
    given = sandbox.control("robinhood/keys", login="maria", public_key=shown.value)
    assert web.post(crypto, {"api_key": given["api_key"]}).status_code == 302
    assert Connection.objects.get(user=person).state == "connected"


def test_a_key_pair_is_made_for_a_connection_and_not_by_looking(web, person, unpaced):
    assert web.get(reverse("connections:keys_new", args=["robinhood_crypto"])).url == NEW
    assert not Authorization.objects.exists()


def test_no_page_with_keys_is_kept_by_a_browser(web, crypto):
    assert "no-store" in web.get(crypto)["Cache-Control"]


# --- Several keys -----------------------------------------------------------------------------------------------------
def test_each_wrong_key_is_named_and_what_is_secret_is_typed_again(web, ibkr_keys, unpaced):
    here = reverse("connections:keys_new", args=["ibkr_keys"])
    page = web.post(here, ibkr_keys | {"signing_key": "not a key"}).content.decode()
    assert re.search(r'id="id_signing_key_error">.*?<li>', page, re.DOTALL)
    assert ibkr_keys["consumer_key"] in page, "what is no secret stays"
    for secret in ("access_token_secret", "encryption_key"):
        assert ibkr_keys[secret][:60] not in page


def test_a_flex_query_adds_the_transactions(web, person, connect_ibkr, flex_keys, unpaced):
    connection = connect_ibkr(person)
    here = reverse("connections:history_keys", args=[connection.pk])
    assert here in web.get(reverse("connections:list")).content.decode()
    wrong = web.post(here, flex_keys | {"token": "123456789012345678901234"}).content.decode()
    assert 'role="alert"' in wrong or 'id="id_token_error"' in wrong
    assert web.post(here, flex_keys).status_code == 302
    connection.refresh_from_db()
    assert connection.history_method == "ibkr_flex"
    assert "Add your Flex query" not in web.get(reverse("connections:list")).content.decode()


# --- Question and answer ----------------------------------------------------------------------------------------------
@pytest.fixture
def unofficial(web, sandbox, settings, unpaced):
    """`unofficial("sms")`: the page of the unofficial login, whose check of a new device is of that kind."""
    settings.ROBINHOOD_PRIVATE_LOGIN = True

    def begin(way, **facts):
        sandbox.control("robinhood/logins", login="maria", way=way, **facts)
        return web.post(NEW, {"method": "robinhood_login"}).url

    return begin


def test_a_code_is_asked_for_and_the_password_is_never_in_the_page(web, person, unofficial):
    here = unofficial("sms")
    first = web.get(here).content.decode()
    assert "may break its terms" in first
    asked = web.post(here, LOGIN).content.decode()
    assert 'autocomplete="one-time-code"' in asked
    assert 'value="sandbox"' not in asked
    step = {"sealed": hidden(asked, "sealed"), "question": hidden(asked, "question")}
    again = web.post(here, step | {"code": "000000"}).content.decode()
    assert "not right" in again
    step = {"sealed": hidden(again, "sealed"), "question": hidden(again, "question")}
    assert web.post(here, step | {"code": "123456"}).url.startswith(reverse("connections:list"))
    assert Connection.objects.get(user=person).state == "connected"


def test_waiting_for_the_phone_asks_again_by_itself(web, person, sandbox, unofficial):
    here = unofficial("prompt", approve_after=None)
    waiting = web.post(here, LOGIN).content.decode()
    assert 'hx-trigger="every 10s, submit"' in waiting
    assert "Check again" in waiting, "it works without JavaScript"
    step = {"sealed": hidden(waiting, "sealed"), "question": hidden(waiting, "question")}
    still = web.post(here, step, headers=HTMX)
    assert "<html" not in still.content.decode(), "a fragment is enough"
    sandbox.control("robinhood/phone", login="maria", approve=True)
    step = {name: hidden(still.content.decode(), name) for name in step}
    done = web.post(here, step, headers=HTMX)
    assert done["HX-Redirect"].startswith(reverse("connections:list"))
    assert Connection.objects.get(user=person).state == "connected"


def test_a_wrong_password_is_told_beside_it(web, unofficial):
    page = web.post(unofficial("none"), LOGIN | {"password": "wrong"}).content.decode()
    assert re.search(r'id="id_password_error">.*?locks the login', page, re.DOTALL)
    assert LOGIN["username"] in page


def test_a_step_that_was_tampered_with_begins_anew(web, unofficial):
    here = unofficial("sms")
    asked = web.post(here, LOGIN).content.decode()
    step = {"sealed": "AAAA", "question": hidden(asked, "question"), "code": "123456"}
    page = web.post(here, step).content.decode()
    assert "Please begin it once more" in page
    assert 'name="password"' in page


# --- Developer keys ---------------------------------------------------------------------------------------------------
def test_own_developer_keys_are_entered_and_never_shown_again(web, person):
    assert "This hub has keys of its own" in web.get(reverse("app-keys")).content.decode()
    form = web.get(OWN_KEYS).content.decode()
    assert "/connections/callback/schwab" in form, "the address to register"
    assert web.post(OWN_KEYS, SCHWAB_APP).status_code == 302
    pages = web.get(reverse("app-keys")).content.decode() + web.get(OWN_KEYS).content.decode()
    assert "<code>sandbo</code>" in pages
    assert SCHWAB_APP["app_key"] not in pages
    assert SCHWAB_APP["app_secret"] not in pages
    assert AppCredentials.objects.get().owner == person


def test_keys_that_cannot_be_right_are_named(web):
    page = web.post(OWN_KEYS, SCHWAB_APP | {"app_secret": "not a secret!"}).content.decode()
    assert re.search(r'id="id_app_secret_error">.*?Letters and digits only', page, re.DOTALL)
    assert not AppCredentials.objects.exists()


def test_keys_in_use_cannot_be_removed(web, person, connect):
    web.post(OWN_KEYS, SCHWAB_APP)
    connect(person, "james")
    remove = reverse("app-keys-remove", args=["schwab_oauth"])
    assert "1 connection still works with these keys" in web.post(remove, follow=True).content.decode()
    assert AppCredentials.objects.exists()
    Connection.objects.update(app=None)
    web.post(remove)
    assert not AppCredentials.objects.exists()


def test_nobody_elses_keys_are_there(web, stranger_web):
    web.post(OWN_KEYS, SCHWAB_APP)
    assert "sandbo" not in stranger_web.get(reverse("app-keys")).content.decode()
    assert stranger_web.post(reverse("app-keys-remove", args=["schwab_oauth"])).status_code == 404
    assert AppCredentials.objects.exists()


@pytest.mark.parametrize("method", ["ibkr_flex", "nonsense", "file"])
def test_a_way_without_an_app_has_no_such_page(web, method):
    assert web.get(reverse("app-keys-method", args=[method])).status_code == 404
