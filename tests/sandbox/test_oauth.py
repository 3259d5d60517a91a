"""Sign-in, consent and token endpoint are as strict as Schwab's."""

import base64
import hashlib
import re
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.plugins.sandbox_server import CALLBACK, Sandbox
from tests.sandbox.schwab_app import (
    LIMIT,
    App,
    authorization_url,
    new_code,
    post_token,
    redeem,
    refresh,
    sign_in,
)

WEEK = 7 * 86_400


def test_the_callback_has_code_session_and_state_in_this_order(sandbox: Sandbox) -> None:
    back = sandbox.sign_in(authorization_url(sandbox, state="a b/c"))
    assert re.fullmatch(
        re.escape(CALLBACK) + r"/\?code=C0\.[\w-]+\.[\w-]{43}%40&session=[0-9a-f-]{36}&state=a%20b%2Fc", back
    )


def test_without_a_state_none_comes_back(sandbox: Sandbox) -> None:
    back = sandbox.sign_in(authorization_url(sandbox))
    assert list(parse_qs(urlsplit(back).query)) == ["code", "session"]


def test_a_callback_with_a_path_gets_no_slash(sandbox: Sandbox) -> None:
    callback = "http://127.0.0.1:8000/connections/callback/schwab"
    back = sandbox.sign_in(authorization_url(sandbox, redirect_uri=callback))
    assert back.startswith(f"{callback}?code=C0.")


def test_denying_comes_back_with_the_error_and_the_state(sandbox: Sandbox) -> None:
    back = sandbox.sign_in(authorization_url(sandbox, state="s1"), deny=True)
    assert back == f"{CALLBACK}/?error=access_denied&state=s1"


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "somebody0else0000000000000000001"},
        {"redirect_uri": CALLBACK.upper()},
        {"redirect_uri": f"{CALLBACK}/"},
        {"redirect_uri": "https://evil.example"},
        {"response_type": "token"},
        {"code_challenge": "x", "code_challenge_method": "plain"},
    ],
)
def test_an_unknown_app_or_callback_is_shown_a_page_and_never_sent_on(
    sandbox: Sandbox, changed: dict[str, str]
) -> None:
    answer = requests.get(authorization_url(sandbox, **changed), timeout=LIMIT, allow_redirects=False)
    assert answer.status_code == 401
    assert "Location" not in answer.headers
    assert "Sandbox, not the real Schwab" in answer.text


def test_a_wrong_password_stays_on_the_sign_in_page(sandbox: Sandbox) -> None:
    url = authorization_url(sandbox)
    ticket = re.search(r'name="ticket" value="([^"]+)"', requests.get(url, timeout=LIMIT).text)
    assert ticket
    form = {"step": "sign_in", "ticket": ticket.group(1), "login": "maria", "password": "wrong"}
    answer = requests.post(url, data=form, timeout=LIMIT)
    assert answer.status_code == 401
    assert "do not match" in answer.text


def test_consent_cannot_be_given_without_signing_in(sandbox: Sandbox) -> None:
    url = authorization_url(sandbox)
    ticket = re.search(r'name="ticket" value="([^"]+)"', requests.get(url, timeout=LIMIT).text)
    assert ticket
    form = {"step": "consent", "ticket": ticket.group(1), "account": "40012345", "decision": "allow"}
    answer = requests.post(url, data=form, timeout=LIMIT, allow_redirects=False)
    assert answer.status_code == 400


def test_only_ticked_accounts_are_seen_and_never_anothers(sandbox: Sandbox) -> None:
    app = sign_in(sandbox, "maria", ["62907314", "70355128"])
    assert list(app.hashes()) == ["62907314"]
    assert len(app.get("/trader/v1/accounts").json()) == 1
    other = sandbox.truth("maria")["accounts"][0]["hash"]
    assert app.get(f"/trader/v1/accounts/{other}").status_code == 400


def test_a_code_is_taken_once(sandbox: Sandbox) -> None:
    code = new_code(sandbox)
    assert redeem(sandbox, code).status_code == 200
    again = redeem(sandbox, code)
    assert again.status_code == 400
    assert again.json()["error"] == "unsupported_token_type"


def test_a_code_that_lost_its_at_sign_is_malformed(sandbox: Sandbox) -> None:
    answer = redeem(sandbox, new_code(sandbox).rstrip("@"))
    assert answer.status_code == 400
    assert answer.json() == {
        "error": "unsupported_token_type",
        "error_description": '400 Bad Request: "{"error_description":"Bad authorization code: Invalid authorization '
        'code header: XXX   ","error":"invalid_request"}"',
    }


def test_a_code_older_than_thirty_seconds_has_expired(sandbox: Sandbox) -> None:
    code = new_code(sandbox)
    sandbox.advance(31)
    answer = redeem(sandbox, code)
    assert answer.status_code == 400
    description = answer.json()["error_description"]
    assert re.search(r"AuthorizationCode has expired,expiration=\d{13},now=\d{13} ", description)


def test_a_code_belongs_to_its_callback(sandbox: Sandbox) -> None:
    code = new_code(sandbox)
    assert redeem(sandbox, code, redirect_uri=f"{CALLBACK}/").status_code == 400


@pytest.mark.parametrize(("verifier", "status"), [("v" * 43, 200), ("w" * 43, 400), ("", 400)])
def test_a_challenge_must_be_answered(sandbox: Sandbox, verifier: str, status: int) -> None:
    digest = hashlib.sha256(b"v" * 43).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    code = new_code(sandbox, code_challenge=challenge, code_challenge_method="S256")
    assert redeem(sandbox, code, code_verifier=verifier).status_code == status


def test_a_wrong_secret_is_an_invalid_client(sandbox: Sandbox) -> None:
    answer = post_token(sandbox, secret="wrong", grant_type="refresh_token", refresh_token="x")
    assert answer.status_code == 401
    assert answer.json() == {"error": "invalid_client", "error_description": "Unauthorized"}


def test_the_token_answer_has_schwabs_keys_in_schwabs_order(sandbox: Sandbox) -> None:
    token = sign_in(sandbox).token
    assert list(token) == ["expires_in", "token_type", "scope", "refresh_token", "access_token", "id_token"]
    assert (token["expires_in"], token["token_type"], token["scope"]) == (1800, "Bearer", "api")
    assert re.fullmatch(r"I0\.[\w-]+\.[\w-]{43}@", token["access_token"])
    assert 130 <= len(token["refresh_token"]) <= 150


def test_an_access_token_lives_thirty_minutes(sandbox: Sandbox) -> None:
    app = sign_in(sandbox)
    sandbox.advance(1790)
    assert app.get("/trader/v1/accounts").status_code == 200
    sandbox.advance(20)
    answer = app.get("/trader/v1/accounts")
    assert answer.status_code == 401
    (error,) = answer.json()["errors"]
    assert (error["status"], error["title"], error["detail"]) == (401, "Unauthorized", "Client not authorized")


def test_refreshing_keeps_the_refresh_token_and_its_seven_days(sandbox: Sandbox) -> None:
    token = sign_in(sandbox).token["refresh_token"]
    sandbox.advance(WEEK - 60)
    renewed = refresh(sandbox, token)
    assert renewed.json()["refresh_token"] == token
    assert App(sandbox, renewed.json()).get("/trader/v1/accounts").status_code == 200
    sandbox.advance(61)
    dead = refresh(sandbox, token)
    assert dead.status_code == 400
    assert "Refresh token is invalid, expired or revoked" in dead.json()["error_description"]


def test_a_new_sign_in_ends_the_earlier_refresh_token_of_that_person_only(sandbox: Sandbox) -> None:
    maria, james = sign_in(sandbox).token, sign_in(sandbox, "james").token
    again = sign_in(sandbox).token
    assert refresh(sandbox, maria["refresh_token"]).status_code == 400
    assert refresh(sandbox, james["refresh_token"]).status_code == 200
    assert refresh(sandbox, again["refresh_token"]).status_code == 200


def test_an_empty_refresh_token_is_told_as_null(sandbox: Sandbox) -> None:
    answer = refresh(sandbox, "")
    assert answer.status_code == 400
    assert answer.json() == {"error": "invalid_grant", "error_description": "Invalid refresh token: null"}


def test_an_apps_own_token_has_no_refresh_token_and_opens_no_account(sandbox: Sandbox) -> None:
    token = post_token(sandbox, grant_type="client_credentials").json()
    assert "refresh_token" not in token
    assert "id_token" not in token
    assert App(sandbox, token).get("/trader/v1/accounts").status_code == 401


@pytest.mark.parametrize("path", ["/v1/oauth/revoke", "/v1/oauth/introspect", "/trader/v1/nothing"])
def test_there_is_no_way_to_revoke_and_no_other_route(sandbox: Sandbox, path: str) -> None:
    answer = requests.post(f"{sandbox.schwab_url}{path}", timeout=LIMIT)
    assert answer.status_code == 404
    assert "Schwab-Client-CorrelId" in answer.headers


def test_schwabs_own_host_name_needs_no_prefix(sandbox: Sandbox) -> None:
    url = f"{sandbox.base_url}/v1/oauth/token"
    answer = requests.post(url, headers={"Host": "api.schwabapi.com"}, timeout=LIMIT)
    assert answer.json()["error"] == "invalid_client"


def test_a_foreign_host_name_is_refused(sandbox: Sandbox) -> None:
    answer = requests.get(f"{sandbox.base_url}/_control/", headers={"Host": "evil.example"}, timeout=LIMIT)
    assert answer.status_code == 400


def test_what_was_typed_at_sign_in_comes_back_escaped(sandbox: Sandbox) -> None:
    url = authorization_url(sandbox)
    ticket = re.search(r'name="ticket" value="([^"]+)"', requests.get(url, timeout=LIMIT).text)
    assert ticket
    form = {"step": "sign_in", "ticket": ticket.group(1), "login": '"><script>', "password": "x"}
    assert "<script>" not in requests.post(url, data=form, timeout=LIMIT).text
