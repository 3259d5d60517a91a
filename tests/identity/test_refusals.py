"""What goes wrong on an app's way in, by accident or on purpose: nothing leaks and nobody is led astray."""

from collections.abc import Callable
from datetime import timedelta
from time import time

import pytest
from allauth.idp.oidc.models import Token
from django.test import Client
from django.utils import timezone

from brokerhub.identity import single_use
from brokerhub.identity.models import AppAccess
from brokerhub.kernel.models import User
from tests.identity.apps import BACK, VERIFIER, App, answer_of, bearer, registered

CONNECTIONS = "/api/v1/brokerage/connections"


@pytest.fixture
def app(db: None) -> App:
    return App(registered())


ELSEWHERE = [
    "https://evil.example/back",
    "https://lens.example/back/",
    "https://lens.example/back?next=https://evil.example",
    "https://lens.example/back#here",
    "https://lens.example/back;x",
    "https://lens.example:8443/back",
    "https://me@lens.example/back",
    "https://lens.example.evil.example/back",
    "HTTPS://LENS.example/back",
    "http://lens.example/back",
    "//lens.example/back",
    "/settings/",
    "javascript:alert(1)",
    "https://[/back",
    "",
]


@pytest.mark.parametrize("address", ELSEWHERE)
def test_nobody_is_sent_to_an_address_that_is_not_registered(app: App, web: Client, address: str) -> None:
    answer = web.get(app.address(redirect_uri=address))
    assert answer.status_code == 400
    assert "Location" not in answer
    assert "The app cannot be let in" in answer.content.decode()


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1x/back", "http://127.0.0.1:80/other", "http://localhost:80/back"]
)
def test_on_ones_own_machine_only_the_port_is_free(db: None, web: Client, address: str) -> None:
    local = App(registered(public=True, back="http://127.0.0.1/back"), back=address)
    assert web.get(local.address()).status_code == 400


@pytest.mark.parametrize("client_id", ["unknown", "", "x" * 500])
def test_an_unknown_app_is_told_of_on_the_hubs_own_page(app: App, web: Client, client_id: str) -> None:
    answer = web.get(app.address(client_id=client_id))
    assert answer.status_code == 400
    assert "does not know the app" in answer.content.decode()


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"scope": "portfolio:read webhooks:write"}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
        ({"prompt": "none"}, "consent_required"),
    ],
)
@pytest.mark.parametrize("public", [True, False])
def test_a_request_that_cannot_be_met_goes_back_to_the_app_with_its_code(
    web: Client, changed: dict[str, str | None], error: str, public: bool
) -> None:
    said = answer_of(web.get(App(registered(public=public)).address(**changed)))
    assert (said["error"], said["state"]) == (error, "s-1")
    assert "code" not in said


def test_no_app_gets_silently_what_another_one_was_allowed(app: App, web: Client) -> None:
    app.let_in(web)
    other = App(registered(name="Other"))
    assert answer_of(web.get(other.address(prompt="none")))["error"] == "consent_required"


@pytest.mark.parametrize("query", ["client_id=%zz", "client_id=%ff%fe", "a" * 3000, "client_id=a&client_id=b", "=&&=;"])
def test_what_cannot_be_read_is_refused_and_does_no_harm(app: App, web: Client, query: str) -> None:
    assert web.get(f"/oauth/authorize?{query}").status_code == 400
    assert web.get(f"{app.address()}&x={query}").status_code in {200, 400}
    for path in ("/oauth/token", "/oauth/revoke"):
        answer = web.post(path, query, content_type="application/x-www-form-urlencoded")
        assert answer.status_code in {400, 401}


# --- Codes ------------------------------------------------------------------------------------------------------------
def test_a_code_is_good_once_and_a_second_use_ends_what_came_of_it(app: App, web: Client) -> None:
    code = app.code(web)
    tokens = app.exchange(code).json()
    again = app.exchange(code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert bearer(tokens["access_token"]).get(CONNECTIONS).status_code == 401
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert not AppAccess.objects.exists()


def test_of_two_processes_that_bring_a_code_at_once_one_gets_a_token(
    app: App, web: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single_use, "is_first", lambda value, issued: False)  # the other one has just been answered
    assert app.exchange(app.code(web)).json()["error"] == "invalid_grant"
    assert not Token.objects.exists()


@pytest.mark.parametrize(
    ("changed", "status", "error"),
    [
        ({"code_verifier": VERIFIER + "0"}, 400, "invalid_grant"),
        ({"code_verifier": ""}, 400, "invalid_grant"),
        ({"redirect_uri": "https://lens.example/other"}, 400, "invalid_request"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"code": "made-up"}, 400, "invalid_grant"),
        ({"grant_type": "password", "username": "ada@example.com"}, 400, "invalid_request"),
        ({"grant_type": "client_credentials"}, 400, "unauthorized_client"),
        ({"resource": "https://other.example/api"}, 400, "invalid_target"),
    ],
)
def test_a_code_in_the_wrong_hands_is_worth_nothing(
    app: App, web: Client, changed: dict[str, str], status: int, error: str
) -> None:
    fields = {"code": app.code(web)} | changed
    answer = app.exchange(fields.pop("code"), **fields)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert not Token.objects.exists()


def test_an_apps_code_is_of_no_use_to_another_app(app: App, web: Client) -> None:
    code = app.code(web)
    assert App(registered(name="Other")).exchange(code).json()["error"] == "invalid_grant"
    assert app.exchange(code).status_code == 200


# --- Refresh tokens ---------------------------------------------------------------------------------------------------
def test_a_refresh_token_that_comes_again_much_later_ends_the_access(
    app: App, web: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = app.let_in(web)
    second = app.refresh(first["refresh_token"]).json()
    assert app.refresh(first["refresh_token"]).json()["error"] == "invalid_grant"
    assert bearer(second["access_token"]).get(CONNECTIONS).status_code == 200, "two processes of one app"
    monkeypatch.setattr(single_use, "time", lambda: time() + 60)
    assert app.refresh(first["refresh_token"]).json()["error"] == "invalid_grant"
    assert bearer(second["access_token"]).get(CONNECTIONS).status_code == 401
    assert app.refresh(second["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_year_after_the_consent_the_app_has_to_ask_again(app: App, web: Client) -> None:
    tokens = app.refresh(app.let_in(web)["refresh_token"]).json()
    AppAccess.objects.update(granted_at=timezone.now() - timedelta(days=364))
    tokens = app.refresh(tokens["refresh_token"]).json()
    AppAccess.objects.update(granted_at=timezone.now() - timedelta(days=365))
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert bearer(tokens["access_token"]).get(CONNECTIONS).status_code == 401
    again = app.let_in(web)
    assert bearer(again["access_token"]).get(CONNECTIONS).status_code == 200
    assert app.refresh(again["refresh_token"]).status_code == 200


def test_a_new_consent_begins_the_year_anew(app: App, web: Client) -> None:
    app.let_in(web)
    AppAccess.objects.update(granted_at=timezone.now() - timedelta(days=364))
    app.let_in(web)
    assert timezone.now() - AppAccess.objects.get().granted_at < timedelta(minutes=5)


def test_a_refresh_token_asks_for_no_more_than_was_allowed(app: App, web: Client) -> None:
    tokens = app.let_in(web, scopes=["connections:read"])
    more = app.refresh(tokens["refresh_token"], scope="connections:read sync:write")
    assert more.json()["error"] == "invalid_scope"
    assert App(registered(name="Other")).refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_an_app_can_give_its_tokens_back(app: App, web: Client) -> None:
    tokens = app.let_in(web)
    assert app.revoke("made-up").status_code == 200
    assert app.revoke(tokens["refresh_token"]).status_code == 200
    assert bearer(tokens["access_token"]).get(CONNECTIONS).status_code == 401
    assert not Token.objects.exists()


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "id_token", ""])
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_a_token_is_given_back_whatever_it_is_said_to_be(app: App, web: Client, kind: str, hint: str) -> None:
    """RFC 7009, 2.1: the hint says where to look first, not where to look."""
    tokens = app.let_in(web)
    assert app.revoke(tokens[kind], token_type_hint=hint).status_code == 200
    assert bearer(tokens["access_token"]).get(CONNECTIONS).status_code == 401
    is_renewed = app.refresh(tokens["refresh_token"]).status_code == 200
    assert is_renewed == (kind == "access_token")


def test_a_token_that_is_given_back_by_nobody_in_particular_stays(app: App, web: Client) -> None:
    tokens = app.let_in(web)
    answer = Client().post("/oauth/revoke", {"token": tokens["refresh_token"], "client_id": app.client.pk})
    assert answer.status_code == 401
    assert bearer(tokens["access_token"]).get(CONNECTIONS).status_code == 200


def test_guessing_secrets_is_slow(app: App, settings) -> None:
    settings.IDP_OIDC_RATE_LIMITS = {"token": "2/m/ip"}
    answers = [app.exchange("made-up", client_secret="wrong") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert answers[2]["Retry-After"] == "60"


# --- Registering ------------------------------------------------------------------------------------------------------
@pytest.fixture
def desk(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("staff@example.com", "correct horse battery"))
    return client


CLIENTS = "/admin/allauth_idp_oidc/client/"
FORM = {
    "name": "Ledger Lens",
    "website": "https://lens.example",
    "type": "confidential",
    "scopes": ["connections:read", "portfolio:read"],
    "redirect_uris": f"{BACK}\r\ncom.example.lens:/back",
}


def test_an_administrator_registers_an_app_and_sees_its_secret_once(desk: Client, web: Client) -> None:
    answer = desk.post(f"{CLIENTS}add/", FORM)
    client = type(registered()).objects.get(
        name="Ledger Lens", data__client_metadata__client_uri="https://lens.example"
    )
    secret = answer.context["secret"]
    assert secret in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert "Registered Ledger Lens." in desk.get("/admin/").content.decode()
    assert client.check_secret(secret)
    assert client.secret != secret
    assert secret not in str(desk.cookies) + str(dict(desk.session))
    later = desk.get(CLIENTS).content.decode() + desk.get(f"{CLIENTS}{client.pk}/change/").content.decode()
    assert secret not in later
    assert client.secret not in later
    app = App(client, scopes=["connections:read"])
    assert app.exchange(app.code(web), client_secret=secret).status_code == 200

    new = desk.post(CLIENTS, {"action": "new_secret", "_selected_action": [client.pk]}).context["secret"]
    client.refresh_from_db()
    assert client.check_secret(new)
    assert not client.check_secret(secret)


def test_nobody_is_shown_a_secret_in_a_session_of_yesterday(desk: Client, long_ago: Callable[[Client], Client]) -> None:
    client = registered()
    before = client.secret
    long_ago(desk)
    refused = [
        desk.get(f"{CLIENTS}add/"),
        desk.post(f"{CLIENTS}add/", FORM),
        desk.post(CLIENTS, {"action": "new_secret", "_selected_action": [client.pk]}),
    ]
    assert all("/reauthenticate/" in answer["Location"] for answer in refused)
    client.refresh_from_db()
    assert (type(client).objects.count(), client.secret) == (1, before)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "http://lens.example/back",
            "https://*.lens.example/back",
            "https://lens.example/back#x",
            "javascript:alert(1)",
        ),
        *(
            "https://me@lens.example/",
            "myapp:/back",
            "https:///back",
            "data:text/html,x",
            "https://a.example;script-src/b",
        ),
    ],
)
def test_an_address_that_could_lead_people_astray_cannot_be_registered(desk: Client, address: str) -> None:
    answer = desk.post(f"{CLIENTS}add/", FORM | {"redirect_uris": address})
    assert answer.status_code == 200
    assert answer.context["errors"]


def test_changing_an_app_keeps_its_secret_and_its_kind(desk: Client) -> None:
    client = registered()
    desk.post(f"{CLIENTS}{client.pk}/change/", FORM | {"name": "Renamed", "type": "public"})
    changed = type(client).objects.get(pk=client.pk)
    assert (changed.name, changed.type, changed.secret) == ("Renamed", "confidential", client.secret)
    assert changed.get_scopes() == ["connections:read", "portfolio:read"]


def test_an_operator_ends_an_apps_access(desk: Client, web: Client, app: App) -> None:
    tokens = app.let_in(web)
    row = AppAccess.objects.get()
    assert "See connections" in desk.get("/admin/identity/appaccess/").content.decode()
    desk.post(f"/admin/identity/appaccess/{row.pk}/delete/", {"post": "yes"})
    assert bearer(tokens["access_token"]).get(CONNECTIONS).status_code == 401
    assert not Token.objects.exists()
