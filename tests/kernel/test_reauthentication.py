"""Before what would hurt most in the wrong hands, a person proves once more who they are."""

import re
from collections.abc import Callable, Iterator

import pytest
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.test import Client
from django.urls import URLResolver, get_resolver
from rest_framework.test import APIClient

from brokerhub.kernel.models import ApiToken, User
from connections.models import Connection
from tests.aggregation.factories import a_connection

PASSWORD = "correct horse battery"
ASK = "/accounts/reauthenticate/"
ID = "00000000-0000-4000-8000-000000000000"
# What asks again on its page; a view that is taken off this list, or put on, is a decision to be seen.
PAGES = {
    "connections/new/": "connect a broker",
    "connections/new/<slug:method>/": "connect with keys",
    "connections/<uuid:connection_id>/keys/": "connect with keys",
    "connections/<uuid:connection_id>/history-keys/": "connect with keys",
    "connections/<uuid:connection_id>/disconnect/": "disconnect",
    "settings/delete/": "delete the account",
    "settings/export/": "export everything",
    "settings/export/download/": "export everything",
    "settings/tokens/new/": "make a token",
    "settings/app-keys/<slug:method>/": "enter app keys",
    "settings/app-keys/<slug:method>/remove/": "remove app keys",
    "settings/webhooks/new/": "be shown a secret",
    "settings/webhooks/<uuid:endpoint_id>/edit/": "send everything elsewhere",
    "settings/webhooks/<uuid:endpoint_id>/rotate/": "be shown a secret",
}
OF_STAFF = {"admin/allauth_idp_oidc/client/add/"}  # tried in tests/identity/test_refusals.py
API = [
    ("POST", "/api/v1/brokerage/connections"),
    ("DELETE", f"/api/v1/brokerage/connections/{ID}"),
    ("POST", "/api/v1/brokerage/oauth/initiate"),
    ("POST", f"/api/v1/brokerage/connections/{ID}/keys"),
    ("POST", f"/api/v1/brokerage/connections/{ID}/history-keys"),
    ("POST", "/api/v1/webhooks"),
    ("PATCH", f"/api/v1/webhooks/{ID}"),
    ("POST", f"/api/v1/webhooks/{ID}/rotate"),
]


@pytest.fixture
def late(web: Client, long_ago: Callable[[Client], Client]) -> Client:
    """A browser whose person signed in yesterday."""
    return long_ago(web)


def asking_views(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from asking_views(entry, path)
        elif getattr(entry.callback, "asks_again", False) is True:
            yield path


def address(path: str) -> str:
    return "/" + re.sub(r"<uuid:\w+>", ID, path.replace("<slug:method>", "ibkr_flex"))


@pytest.mark.parametrize("path", PAGES)
def test_a_page_asks_whoever_signed_in_long_ago(late: Client, path: str) -> None:
    assert path in set(asking_views(get_resolver()))
    for answer in (late.get(address(path)), late.post(address(path))):
        assert answer.status_code == 302
        assert answer["Location"].startswith(f"{ASK}?next=")


def test_the_list_of_pages_that_ask_is_whole() -> None:
    assert set(asking_views(get_resolver())) == PAGES.keys() | OF_STAFF


@pytest.mark.parametrize(("method", "path"), API)
def test_the_api_refuses_such_a_session_by_a_code_and_lets_tokens_in(
    late: Client, person: User, token_client, method: str, path: str
) -> None:
    browser = APIClient()
    browser.cookies = late.cookies
    refusal = browser.generic(method, path, "{}", content_type="application/json")
    assert refusal.status_code == 403
    assert refusal.json()["code"] == "reauthentication_required"
    program = token_client(person).generic(method, path, "{}", content_type="application/json")
    assert program.status_code in {400, 404}


def test_after_the_password_it_goes_on_where_it_was_asked(late: Client) -> None:
    asked = late.get("/settings/tokens/new/", follow=True)
    assert "Confirm that it is you" in asked.content.decode()
    where = asked.redirect_chain[-1][0]
    assert "Incorrect password" in late.post(where, {"password": "wrong"}).content.decode()
    assert late.get("/settings/tokens/new/").status_code == 302
    back = late.post(where, {"password": PASSWORD}, follow=True)
    assert back.redirect_chain == [("/settings/tokens/new/", 302)]
    assert "Make the token" in back.content.decode()


def test_a_second_factor_proves_it_as_well(late: Client, person: User) -> None:
    secret = "JBSWY3DPEHPK3PXP"
    TOTP.activate(person, secret)
    page = late.get("/settings/tokens/new/", follow=True).content.decode()
    assert "/accounts/2fa/reauthenticate/" in page
    code = format_hotp_value(hotp_value(secret, next(yield_hotp_counters_from_time())))
    answer = late.post("/accounts/2fa/reauthenticate/?next=/settings/tokens/new/", {"code": code}, follow=True)
    assert "Make the token" in answer.content.decode()


def test_what_was_being_sent_is_dropped_not_kept_in_the_session(late: Client) -> None:
    address = "/connections/new/ibkr_flex/"
    answer = late.post(address, {"token": "a-secret-canary"}, headers={"referer": f"http://testserver{address}?a=1"})
    assert answer["Location"] == f"{ASK}?next=%2Fconnections%2Fnew%2Fibkr_flex%2F%3Fa%3D1"
    assert "a-secret-canary" not in str(dict(late.session.items()))


@pytest.mark.parametrize("referer", ["https://evil.example/settings/", "//evil.example", "javascript:alert(1)", ""])
def test_the_way_back_never_leads_out_of_the_hub(late: Client, referer: str) -> None:
    answer = late.post("/settings/export/download/", headers={"referer": referer})
    assert answer["Location"] == f"{ASK}?next=%2F"
    done = late.post(f"{ASK}?next={referer}", {"password": PASSWORD})
    assert "evil" not in done["Location"]
    assert "javascript" not in done["Location"]


def test_a_dialogue_takes_the_whole_page_there_and_back(late: Client) -> None:
    headers = {"hx-request": "true", "hx-target": "dialog", "hx-current-url": "http://testserver/connections/?a=1"}
    answer = late.get(f"/connections/{ID}/disconnect/", headers=headers)
    assert answer["HX-Redirect"] == f"{ASK}?next=%2Fconnections%2F%3Fa%3D1"


def test_renewing_what_is_connected_takes_one_click_and_the_first_sign_in_does_not(late: Client, person: User) -> None:
    connected = a_connection(person)
    Connection.objects.filter(pk=connected.pk).update(state="needs_reauth")
    assert ASK not in late.post(f"/connections/{connected.pk}/sign-in/").headers.get("Location", "")
    Connection.objects.filter(pk=connected.pk).update(state="pending_auth")
    assert ASK in late.post(f"/connections/{connected.pk}/sign-in/")["Location"]


@pytest.mark.django_db
def test_a_person_who_has_just_signed_up_is_not_asked(client: Client) -> None:
    fields = {"email": "grace@example.com", "password1": PASSWORD, "password2": PASSWORD}
    client.post("/accounts/signup/", fields)
    assert client.get("/connections/new/").status_code == 200


def test_how_long_a_proof_lasts_is_a_setting(late: Client, settings) -> None:
    settings.ACCOUNT_REAUTHENTICATION_TIMEOUT = 48 * 3600
    assert late.get("/settings/tokens/new/").status_code == 200


def test_somebody_elses_proof_in_the_same_browser_does_not_count(
    late: Client, stranger: User, long_ago: Callable[[Client], Client]
) -> None:
    late.post(ASK, {"password": PASSWORD})
    late.force_login(stranger)
    long_ago(late)
    assert late.get("/settings/tokens/new/").status_code == 302
    assert not ApiToken.objects.exists()
