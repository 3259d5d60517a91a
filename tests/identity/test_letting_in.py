"""An app of somebody else's asks to be let in: what the person sees, decides, and can end."""

from collections.abc import Callable

import jwt
import pytest
from allauth.idp.oidc.internal.oauthlib import authorization_codes
from allauth.idp.oidc.models import Token
from django.conf import settings as hub
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from brokerhub.identity.models import AppAccess
from brokerhub.identity.tasks import remove_expired
from brokerhub.kernel.models import User
from tests.identity.apps import BACK, App, answer_of, bearer, registered

CONNECTIONS = "/api/v1/brokerage/connections"
SYNC = "/api/v1/brokerage/sync"


@pytest.fixture
def app(db: None) -> App:
    return App(registered(data={"client_metadata": {"client_uri": "https://lens.example"}}))


def test_from_the_question_to_the_end_of_the_access(app: App, web: Client, person: User) -> None:
    page = web.get(app.address())
    text = page.content.decode()
    assert "Let Ledger Lens in?" in text
    assert "See accounts, positions, balances and transactions" in text
    assert "Changes things" in text
    assert "lens.example" in text
    assert "form-action 'self' https://lens.example;" in page["Content-Security-Policy"] + ";"

    answer = answer_of(app.decide(web, scopes=["connections:read"]))
    assert answer["state"] == "s-1"
    tokens = app.exchange(answer["code"])
    assert "no-store" in tokens["Cache-Control"]
    first = tokens.json()
    assert (first["token_type"], first["scope"], first["expires_in"]) == ("Bearer", "connections:read", 3600)
    program = bearer(first["access_token"])
    assert program.get(CONNECTIONS).status_code == 200
    refusal = program.post(SYNC, {})
    assert (refusal.status_code, refusal.json()["code"]) == (403, "scope_missing")

    renewed = app.refresh(first["refresh_token"]).json()
    assert renewed["scope"] == "connections:read"
    assert bearer(renewed["access_token"]).get(CONNECTIONS).status_code == 200

    shown = web.get("/settings/apps/").content.decode()
    assert "Ledger Lens" in shown
    assert "last used" in shown
    end = f"/settings/apps/{AppAccess.objects.get(user=person).pk}/end/"
    assert "refused from its next request on" in web.get(end).content.decode()
    assert "has no access any more" in web.post(end, follow=True).content.decode()
    assert bearer(renewed["access_token"]).get(CONNECTIONS).json()["code"] == "token_invalid"
    assert app.refresh(renewed["refresh_token"]).json()["error"] == "invalid_grant"
    assert "No app has access" in web.get("/settings/apps/").content.decode()


def test_no_token_code_or_secret_is_kept_in_clear(app: App, web: Client) -> None:
    code = app.code(web)
    tokens = app.exchange(code).json()
    stored = str(list(Token.objects.values())) + str(list(type(app.client).objects.values())) + str(dict(web.session))
    for secret in (code, tokens["access_token"], tokens["refresh_token"], "the-secret-of-the-app"):
        assert secret not in stored


def test_the_person_is_told_by_mail_once_and_again_when_the_app_may_do_more(
    app: App, web: Client, person: User, django_capture_on_commit_callbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        app.let_in(web, scopes=["connections:read"])
        app.let_in(web, scopes=["connections:read"])
    assert [message.to for message in mail.outbox] == [[person.email]]
    assert "See connections" in mail.outbox[0].body
    with django_capture_on_commit_callbacks(execute=True):
        app.let_in(web, scopes=["sync:write"])
    assert "Start syncs" in mail.outbox[1].body
    assert AppAccess.objects.get().scopes == ["connections:read", "sync:write"]
    said = LogEntry.objects.filter(user=person).order_by("pk").values_list("change_message", flat=True)
    assert list(said) == ["Let in, with connections:read.", "Let in, with connections:read, sync:write."]


def test_whoever_says_no_sends_the_app_away_with_nothing(app: App, web: Client) -> None:
    assert answer_of(app.decide(web, action="cancel")) == {"error": "access_denied", "state": "s-1"}
    assert not AppAccess.objects.exists()


def test_allowing_nothing_is_no_answer(app: App, web: Client) -> None:
    answer = app.decide(web, scopes=[])
    assert answer.status_code == 200
    assert "Tick at least one thing" in answer.content.decode()
    assert "https://lens.example" in answer["Content-Security-Policy"]


def test_nobody_can_be_let_in_for_more_than_was_asked(app: App, web: Client) -> None:
    app.scopes = ["connections:read"]
    answer = app.decide(web, scopes=["connections:read", "sync:write"])
    assert answer.status_code == 200
    assert not AppAccess.objects.exists()


def test_a_visitor_signs_in_first_and_is_then_asked(app: App, client: Client, person: User) -> None:
    page = client.get(app.address(), follow=True)
    where = page.redirect_chain[-1][0]
    assert where.startswith("/accounts/login/")
    asked = client.post(where, {"login": person.email, "password": "correct horse battery"}, follow=True)
    assert "Let Ledger Lens in?" in asked.content.decode()


def test_a_session_of_yesterday_proves_itself_before_it_is_asked(
    app: App, web: Client, long_ago: Callable[[Client], Client]
) -> None:
    answer = long_ago(web).post("/oauth/authorize", {"request": "x", "action": "grant"})
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    asked = web.get(app.address(), follow=True)
    assert "Confirm that it is you" in asked.content.decode()
    back = web.post(asked.redirect_chain[-1][0], {"password": "correct horse battery"}, follow=True)
    assert "Let Ledger Lens in?" in back.content.decode()


def test_another_site_cannot_answer_for_the_person(app: App, person: User) -> None:
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(person)
    page = careful.get(app.address())
    fields = {"request": page.context["form"]["request"].value(), "action": "grant", "scopes": app.scopes}
    assert careful.post("/oauth/authorize", fields).status_code == 403
    assert careful.post("/oauth/authorize", fields | {"request": "made-up"}).status_code == 403


def test_a_person_sees_and_ends_the_access_of_their_own_apps_only(
    app: App, web: Client, stranger_web: Client, person: User
) -> None:
    app.let_in(web)
    assert "Ledger Lens" not in stranger_web.get("/settings/apps/").content.decode()
    assert stranger_web.post(f"/settings/apps/{AppAccess.objects.get().pk}/end/").status_code == 404
    assert AppAccess.objects.exists()


def test_a_code_that_was_on_its_way_when_access_ended_opens_nothing(app: App, web: Client) -> None:
    code = app.code(web)
    web.post(f"/settings/apps/{AppAccess.objects.get().pk}/end/")
    late = app.exchange(code).json()
    assert bearer(late["access_token"]).get(CONNECTIONS).status_code == 401
    app.let_in(web)
    assert bearer(late["access_token"]).get(CONNECTIONS).status_code == 401


def test_an_expired_access_token_says_so_and_is_refreshed(app: App, web: Client) -> None:
    tokens = app.let_in(web)
    Token.objects.filter(type=Token.Type.ACCESS_TOKEN).update(expires_at=timezone.now())
    refusal = bearer(tokens["access_token"]).get(CONNECTIONS)
    assert (refusal.status_code, refusal.json()["code"]) == (401, "token_expired")
    renewed = app.refresh(tokens["refresh_token"]).json()
    assert bearer(renewed["access_token"]).get(CONNECTIONS).status_code == 200
    before = Token.objects.count()
    remove_expired()
    assert Token.objects.count() == before - 1


def test_a_code_lives_for_a_minute(app: App, web: Client) -> None:
    code = app.code(web)
    key = authorization_codes.cache_key(app.client.pk, code)
    assert hub.IDP_OIDC_AUTHORIZATION_CODE_EXPIRES_IN == 60
    assert cache.touch(key, 0)
    assert app.exchange(code).json()["error"] == "invalid_grant"


def test_an_account_that_is_switched_off_takes_its_apps_along(app: App, web: Client, person: User) -> None:
    tokens = app.let_in(web)
    User.objects.filter(pk=person.pk).update(is_active=False)
    assert bearer(tokens["access_token"]).get(CONNECTIONS).json()["code"] == "user_inactive"
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


NO_TOKENS = ["Bearer", "Bearer ", "Bearer a b", "Bearer \xff", "bearer nonsense", "Bearer " + "x" * 5000]


@pytest.mark.parametrize("header", NO_TOKENS)
def test_a_bearer_token_that_is_none_is_refused(db: None, header: str) -> None:
    answer = APIClient(HTTP_AUTHORIZATION=header).get(CONNECTIONS)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


def test_the_costs_of_ones_own_trades_need_the_scope_of_the_portfolio(app: App, web: Client) -> None:
    app.client.set_scopes(["compare:read"])
    app.client.save()
    app.scopes = ["compare:read"]
    program = bearer(app.let_in(web)["access_token"])
    refusal = program.get("/api/v1/brokerage/compare?mine=1")
    assert (refusal.status_code, refusal.json()["code"]) == (403, "scope_missing")


def test_an_id_token_says_who_it_is_and_is_signed_by_the_key_that_is_published(
    app: App, web: Client, person: User, client: Client
) -> None:
    app.scopes = ["openid", "email"]
    tokens = app.let_in(web, nonce="n-1")
    said = client.get("/.well-known/openid-configuration").json()
    assert said["issuer"] == hub.BASE_URL
    assert said["code_challenge_methods_supported"] == ["S256"]
    keys = client.get("/.well-known/jwks.json")
    assert "PRIVATE" not in keys.content.decode()
    assert not {"d", "p", "q"} & keys.json()["keys"][0].keys()
    key = jwt.PyJWK(keys.json()["keys"][0])
    claims = jwt.decode(tokens["id_token"], key, ["RS256"], audience=app.client.pk, issuer=hub.BASE_URL)
    assert (claims["sub"], claims["nonce"]) == (str(person.pk), "n-1")
    info = client.get("/oauth/userinfo", headers={"authorization": f"Bearer {tokens['access_token']}"})
    assert info.json()["sub"] == str(person.pk)
    assert bearer(tokens["access_token"]).get(CONNECTIONS).json()["code"] == "scope_missing"


def test_an_app_on_the_persons_own_machine_needs_no_secret_and_takes_a_free_port(web: Client) -> None:
    local = App(registered(public=True, back="http://127.0.0.1/back"), back="http://127.0.0.1:49152/back")
    answer = answer_of(local.decide(web), local.back)
    assert bearer(local.exchange(answer["code"]).json()["access_token"]).get(CONNECTIONS).status_code == 200
    page = web.get(local.address()).content.decode()
    assert "the app on this device" in page
    assert BACK not in page
