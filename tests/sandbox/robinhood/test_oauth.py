"""Official sign-in: discovery, registration, consent, PKCE, and what becomes of tokens."""

from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.plugins.sandbox_server import Sandbox
from tests.sandbox.robinhood.app import (
    CALLBACK,
    LIMIT,
    agentic,
    authorization_url,
    new_code,
    post_token,
    redeem,
    register,
    sign_in,
    text_of,
    url,
)  # fmt: skip


def test_discovery_leads_from_the_resource_to_every_endpoint(sandbox: Sandbox) -> None:
    told = requests.get(url(sandbox, "/.well-known/oauth-protected-resource/mcp/trading", "agent"), timeout=LIMIT)
    assert told.json()["authorization_servers"] == [url(sandbox, "/mcp/trading", "agent")]
    for path in ("", "/mcp/trading"):
        server = requests.get(url(sandbox, f"/.well-known/oauth-authorization-server{path}", "agent"), timeout=LIMIT)
        assert server.json()["authorization_endpoint"] == url(sandbox, "/oauth", "www")
        assert server.json()["token_endpoint"] == url(sandbox, "/oauth2/token/")
        assert server.json()["code_challenge_methods_supported"] == ["S256"]


def test_on_the_real_host_names_the_documents_name_the_real_hosts(sandbox: Sandbox) -> None:
    address = f"{sandbox.base_url}/.well-known/oauth-authorization-server/mcp/trading"
    told = requests.get(address, headers={"Host": "agent.robinhood.com"}, timeout=LIMIT).json()
    assert told["issuer"] == "https://agent.robinhood.com/mcp/trading"
    assert told["authorization_endpoint"] == "https://robinhood.com/oauth"
    assert told["token_endpoint"] == "https://api.robinhood.com/oauth2/token/"


def test_where_a_standard_client_looks_the_document_is_found_as_well(sandbox: Sandbox) -> None:
    """RFC 8414 puts the well-known part between host and path."""
    issuer = urlsplit(url(sandbox, "/mcp/trading", "agent"))
    for name in ("oauth-authorization-server", "oauth-protected-resource"):
        address = f"{issuer.scheme}://{issuer.netloc}/.well-known/{name}{issuer.path}"
        assert requests.get(address, timeout=LIMIT).ok


@pytest.mark.parametrize("uri", ["http://hub.example/back", "ftp://hub.example", "", 7])
def test_a_callback_must_be_https_or_loopback(sandbox: Sandbox, uri: str) -> None:
    refused = register(sandbox, uri)
    assert (refused.status_code, refused.json()) == (400, {"error": "invalid_redirect_uri"})


def test_clients_are_public(sandbox: Sandbox) -> None:
    assert register(sandbox, token_endpoint_auth_method="client_secret_basic").status_code == 400
    registered = register(sandbox)
    assert registered.status_code == 201
    assert "client_secret" not in registered.json()


def test_a_code_becomes_tokens_and_the_state_comes_back(sandbox: Sandbox) -> None:
    client_id = register(sandbox).json()["client_id"]
    back = sandbox.sign_in(authorization_url(sandbox, client_id))
    query = parse_qs(urlsplit(back).query)
    assert back.startswith(f"{CALLBACK}?")
    assert query["state"] == ["s1"]
    token = redeem(sandbox, client_id, query["code"][0]).json()
    assert (token["expires_in"], token["scope"]) == (774_924, "internal")
    again = redeem(sandbox, client_id, query["code"][0])
    assert (again.status_code, again.json()) == (400, {"error": "invalid_grant"})


@pytest.mark.parametrize(
    "form",
    [
        {"code_verifier": "another-verifier-that-is-long-enough-for-the-rules"},
        {"redirect_uri": "http://127.0.0.1:8000/elsewhere"},
        {"client_id": "another"},
        {"code_verifier": ""},
    ],
)
def test_a_code_is_bound_to_verifier_callback_and_client(sandbox: Sandbox, form: dict[str, str]) -> None:
    client_id = register(sandbox).json()["client_id"]
    assert redeem(sandbox, client_id, new_code(sandbox, client_id), **form).json() == {"error": "invalid_grant"}


def test_a_code_is_stale_after_a_minute(sandbox: Sandbox) -> None:
    client_id = register(sandbox).json()["client_id"]
    code = new_code(sandbox, client_id)
    sandbox.advance(61)
    assert redeem(sandbox, client_id, code).status_code == 400


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"client_id": "nobody"}, "client id"),
        ({"redirect_uri": "http://127.0.0.1:8000/elsewhere"}, "letter by letter"),
        ({"code_challenge": None}, "code challenge"),
        ({"code_challenge_method": "plain"}, "S256"),
        ({"scope": None}, "scope"),
        ({"resource": "https://evil.example/mcp"}, "resource"),
        ({"response_type": "token"}, "code"),
    ],
)
def test_what_is_asked_wrongly_gets_a_page_and_no_redirect(
    sandbox: Sandbox, query: dict[str, str | None], says: str
) -> None:
    client_id = register(sandbox).json()["client_id"]
    page = requests.get(authorization_url(sandbox, client_id, **query), timeout=LIMIT, allow_redirects=False)
    assert page.status_code == 400
    assert says in text_of(page)


def test_denial_comes_back_with_the_state(sandbox: Sandbox) -> None:
    client_id = register(sandbox).json()["client_id"]
    back = sandbox.sign_in(authorization_url(sandbox, client_id), deny=True)
    assert parse_qs(urlsplit(back).query) == {"error": ["access_denied"], "state": ["s1"]}


def test_the_consent_page_says_how_broad_the_grant_is_and_whose_sandbox_it_is(sandbox: Sandbox) -> None:
    client_id = register(sandbox).json()["client_id"]
    address = authorization_url(sandbox, client_id)
    page = requests.get(address, timeout=LIMIT)
    assert "not the real Robinhood" in text_of(page)
    assert "Schwab" not in page.text


def refresh(sandbox: Sandbox, client_id: str, token: str) -> requests.Response:
    return post_token(sandbox, grant_type="refresh_token", refresh_token=token, client_id=client_id)


def test_a_refresh_answer_without_a_refresh_token_means_keep_the_old_one(sandbox: Sandbox) -> None:
    client_id, token = agentic(sandbox)
    for _ in range(2):
        answer = refresh(sandbox, client_id, token["refresh_token"]).json()
        assert "refresh_token" not in answer
        assert answer["access_token"] != token["access_token"]
    assert refresh(sandbox, "another", token["refresh_token"]).status_code == 401


def test_a_rotated_refresh_token_ends_the_old_one(sandbox: Sandbox) -> None:
    client_id, token = agentic(sandbox)
    sandbox.fault("rotate_refresh_token", "token", times=1, broker="robinhood")
    fresh = refresh(sandbox, client_id, token["refresh_token"]).json()
    assert refresh(sandbox, client_id, token["refresh_token"]).json() == {"error": "invalid_grant"}
    assert refresh(sandbox, client_id, fresh["refresh_token"]).ok


def test_a_replaced_refresh_token_can_stay_good_for_a_while(sandbox: Sandbox) -> None:
    client_id, token = agentic(sandbox)
    sandbox.fault("rotate_refresh_token", "token", times=1, broker="robinhood", grace=30)
    fresh = refresh(sandbox, client_id, token["refresh_token"]).json()
    assert refresh(sandbox, client_id, token["refresh_token"]).ok
    sandbox.advance(30)
    assert refresh(sandbox, client_id, token["refresh_token"]).json() == {"error": "invalid_grant"}
    assert refresh(sandbox, client_id, fresh["refresh_token"]).ok


def test_revocation_by_the_person_ends_refreshing(sandbox: Sandbox) -> None:
    client_id, token = agentic(sandbox)
    sandbox.end_tokens(broker="robinhood", revoke=True)
    assert refresh(sandbox, client_id, token["refresh_token"]).status_code == 400


def test_an_official_token_does_not_open_the_private_api(sandbox: Sandbox) -> None:
    app = sign_in(sandbox)
    _, token = agentic(sandbox)
    app.token = token
    assert app.get("/positions/").status_code == 401
