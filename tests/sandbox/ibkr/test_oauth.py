"""Consumers, consent and sessions are as strict as Interactive Brokers'."""

from http.client import HTTPConnection
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.plugins.sandbox_server import Sandbox
from tests.sandbox.ibkr.web_client import LIMIT, MAIN, SAVINGS, WebClient, self_service, third_party

CALLBACK = "http://127.0.0.1:8000/connections/callback/ibkr"
DAY = 86_400


def error_of(answer: requests.Response) -> str:
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.json()["statusCode"] == 401
    text: str = answer.json()["error"]
    return text


def verified(client: WebClient, login: str = "maria") -> dict[str, str]:
    back = client.sandbox.sign_in(client.consent_url(client.request_token()), login)
    return {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}


def test_the_third_partys_way_ends_at_the_ticked_accounts(sandbox: Sandbox) -> None:
    client = third_party(sandbox).sign_in(accounts=[SAVINGS]).open_session()
    assert [row["id"] for row in client.call("/portfolio/accounts").json()] == [SAVINGS]
    assert client.call(f"/portfolio/{MAIN}/ledger").status_code == 400


def test_the_browser_comes_back_with_token_and_verifier(sandbox: Sandbox) -> None:
    client = third_party(sandbox)
    token = client.request_token()
    back = sandbox.sign_in(client.consent_url(token))
    assert back.startswith(f"{CALLBACK}?oauth_token={token}&oauth_verifier=")


def test_a_callback_must_be_a_registered_one(sandbox: Sandbox) -> None:
    client = third_party(sandbox)
    url = sandbox.here(client.consent_url(client.request_token(), redirect_uri="https://evil.example"))
    answer = requests.get(url, timeout=LIMIT, allow_redirects=False)
    assert answer.status_code == 401
    assert "Sandbox, not the real Interactive Brokers" in answer.text
    other = "http://127.0.0.1:9/callback"
    sandbox.control("callbacks", broker="ibkr", add=other)
    assert sandbox.sign_in(client.consent_url(client.request_token(), redirect_uri=other)).startswith(f"{other}?")


def test_denying_comes_back_without_a_verifier_and_spends_the_token(sandbox: Sandbox) -> None:
    client = third_party(sandbox)
    token = client.request_token()
    back = sandbox.sign_in(client.consent_url(token), deny=True)
    assert back == f"{CALLBACK}?oauth_token={token}&oauth_problem=user_refused"
    answer = client.post_signed("access_token", oauth_token=token, oauth_verifier="x")
    assert "invalid request token" in error_of(answer)


def test_who_is_no_customer_cannot_sign_in(sandbox: Sandbox) -> None:
    client = third_party(sandbox)
    url = sandbox.here(client.consent_url(token := client.request_token()))
    form = {"step": "sign_in", "ticket": token, "login": "james", "password": "sandbox"}
    answer = requests.post(url, data=form, timeout=LIMIT)
    assert answer.status_code == 401
    assert "do not match" in answer.text


def test_a_request_token_is_good_once_and_for_ten_minutes(sandbox: Sandbox) -> None:
    client = third_party(sandbox)
    query = verified(client)
    assert client.post_signed("access_token", **query).status_code == 200
    assert "invalid request token" in error_of(client.post_signed("access_token", **query))
    late = verified(client)
    sandbox.advance(601)
    assert "invalid request token" in error_of(client.post_signed("access_token", **late))


def test_a_wrong_verifier_is_refused(sandbox: Sandbox) -> None:
    client = third_party(sandbox)
    query = verified(client) | {"oauth_verifier": "0" * 20}
    assert "invalid verifier" in error_of(client.post_signed("access_token", **query))


def test_the_token_secret_is_sealed_for_the_consumer(sandbox: Sandbox) -> None:
    client = third_party(sandbox).sign_in()
    assert len(client.secret) == 32
    assert client.secret != third_party(sandbox).sign_in().secret


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"oauth_consumer_key": "NOBODYXYZ"}, "id: 39687, error: invalid consumer"),
        ({"oauth_signature_method": "HMAC-SHA256"}, "invalid signature method"),
        ({"oauth_timestamp": "1600000000"}, "invalid nonce or timestamp"),
        ({"oauth_timestamp": "1790000000000"}, "invalid nonce or timestamp"),  # milliseconds, as the prose has it
        ({"oauth_nonce": ""}, "invalid nonce or timestamp"),
        ({"realm": "test_realm"}, "invalid realm"),
        ({"prepend": "00"}, "invalid signature"),
        ({"oauth_callback": "https://evil.example"}, "invalid oauth_callback"),
    ],
)
def test_a_request_that_is_not_quite_right_is_refused(sandbox: Sandbox, changed: dict[str, str], reason: str) -> None:
    answer = third_party(sandbox).post_signed("request_token", **{"oauth_callback": "oob", **changed})
    assert reason in error_of(answer)


def test_self_service_keys_need_no_consent_and_get_none(sandbox: Sandbox) -> None:
    client = self_service(sandbox)
    assert "first party" in error_of(client.post_signed("request_token", oauth_callback="oob"))
    assert client.open_session().call("/portfolio/accounts").status_code == 200


def test_the_test_consumer_has_a_realm_of_its_own(sandbox: Sandbox) -> None:
    client = self_service(sandbox, "TESTCONS")
    assert client.consumer["realm"] == "test_realm"
    assert client.open_session().call("/portfolio/accounts").status_code == 200


def test_a_challenge_that_gives_the_key_away_is_refused(sandbox: Sandbox) -> None:
    client = self_service(sandbox)
    for challenge in (0, 1, int(client.consumer["dh_prime"], 16) - 1):
        assert "LST failed" in error_of(client.ask_for_session(challenge))
    for text in ("", "no number", "0x1f", "-5", "1_0"):
        assert "LST failed" in error_of(client.ask_for_session(2, diffie_hellman_challenge=text))


def test_a_session_needs_the_secret_in_front_of_what_is_signed(sandbox: Sandbox) -> None:
    client = self_service(sandbox)
    assert "invalid signature" in error_of(client.ask_for_session(2**200, prepend=""))


def test_a_session_may_be_left_unanswered(sandbox: Sandbox) -> None:
    client = self_service(sandbox)
    sandbox.fault("broker_error", "live_session_token", broker="ibkr", times=1, code="empty_response")
    assert client.ask_for_session(2**200).json()["diffie_hellman_response"] == ""
    assert client.open_session().call("/portfolio/accounts").status_code == 200


def test_new_keys_from_the_portal_end_the_old_ones(sandbox: Sandbox) -> None:
    old = self_service(sandbox).open_session()
    keys = sandbox.control("ibkr/keys", consumer_key="MARIAKEYS")
    assert keys["access_token"] != old.token
    assert old.call("/portfolio/accounts").json() == {"error": "not authenticated", "statusCode": 401}
    assert "LST failed, error: No access secret key found for MARIAKEYS" in error_of(old.ask_for_session(2**200))


def test_a_session_lives_a_day(sandbox: Sandbox) -> None:
    client = self_service(sandbox).open_session()
    sandbox.advance(DAY - 60)
    assert client.call("/portfolio/accounts").status_code == 200
    sandbox.advance(120)
    assert error_of(client.call("/portfolio/accounts")) == "not authenticated"
    assert client.open_session().call("/portfolio/accounts").status_code == 200


def test_a_new_session_ends_the_one_before(sandbox: Sandbox) -> None:
    client = self_service(sandbox).open_session()
    first = client.session
    client.open_session()
    client.session = first
    assert "invalid signature" in error_of(client.call("/portfolio/accounts"))


def test_revoking_ends_session_and_token(sandbox: Sandbox) -> None:
    client = third_party(sandbox).sign_in().open_session()
    assert sandbox.end_tokens(broker="ibkr", expire=True) == {"expired": 1, "revoked": 0}
    assert error_of(client.call("/portfolio/accounts")) == "not authenticated"
    client.open_session()
    assert sandbox.end_tokens(broker="ibkr", revoke=True)["revoked"] == 1
    assert "LST failed" in error_of(client.ask_for_session(2**200))


def test_the_same_nonce_is_not_taken_twice(sandbox: Sandbox) -> None:
    client = self_service(sandbox).open_session()
    once: dict[str, Any] = {"oauth_nonce": "samenonce1234567", "oauth_timestamp": str(client.now())}
    assert client.call("/portfolio/subaccounts2", query="page=0", **once).status_code == 200
    assert "invalid nonce" in error_of(client.call("/portfolio/U7712345/meta", **once))
    sandbox.control("ibkr/switches", refuse_replays=False)
    assert client.call("/portfolio/U7712345/meta", **once).status_code == 200


def test_a_wrong_signature_does_not_burn_the_nonce(sandbox: Sandbox) -> None:
    client = self_service(sandbox).open_session()
    once: dict[str, Any] = {"oauth_nonce": "burnmenot1234567"}
    right, client.session = client.session, b"wrong"
    assert "invalid signature" in error_of(client.call("/portfolio/accounts", **once))
    client.session = right
    assert client.call("/portfolio/accounts", **once).status_code == 200


def test_a_person_brings_keys_of_their_own(sandbox: Sandbox) -> None:
    signing, sealing = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))

    def public(key: rsa.RSAPrivateKey) -> str:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    def private(key: rsa.RSAPrivateKey) -> str:
        form, bare = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return key.private_bytes(serialization.Encoding.PEM, form, bare).decode()

    told = sandbox.control(
        "ibkr/consumers", consumer_key="OWNKEYSAB", login="maria",
        signing_key=public(signing), encryption_key=public(sealing),
    )  # fmt: skip
    assert told["signing_key"] is None
    consumer = told | {"signing_key": private(signing), "encryption_key": private(sealing)}
    client = WebClient(sandbox, consumer, told["access_token"], told["access_token_secret"])
    assert client.open_session().call("/portfolio/accounts").status_code == 200


@pytest.mark.parametrize("changed", [{"consumer_key": "short"}, {"signing_key": "no key"}, {"login": "nobody"}])
def test_keys_that_cannot_be_are_not_registered(sandbox: Sandbox, changed: dict[str, str]) -> None:
    body = {"consumer_key": "ABCDEFGHI", "login": "maria", "signing_key": "", "encryption_key": "", **changed}
    answer = requests.post(f"{sandbox.base_url}/_control/ibkr/consumers", json=body, timeout=LIMIT)
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]


def test_the_edge_wants_a_user_agent_and_a_length(sandbox: Sandbox) -> None:
    url = f"{sandbox.base_url}/ibkr/v1/api/oauth/request_token"
    connection = HTTPConnection(urlsplit(url).netloc, timeout=LIMIT)
    connection.putrequest("POST", urlsplit(url).path)
    connection.putheader("User-Agent", "hub/1")
    connection.endheaders()
    assert connection.getresponse().status == 411
    connection.close()
    nameless = requests.post(url, headers={"User-Agent": ""}, timeout=LIMIT)
    assert nameless.status_code == 403
    assert "<html>" in nameless.text


def test_no_secret_is_in_the_log(sandbox: Sandbox) -> None:
    client = third_party(sandbox).sign_in().open_session()
    client.call("/portfolio/accounts")
    log = requests.get(f"{sandbox.base_url}/_control/calls", timeout=LIMIT).text
    assert client.token not in log
    assert client.sealed_secret not in log
    calls = sandbox.calls()
    assert [call["operation"] for call in calls] == (
        ["request_token", "authorize", "authorize", "authorize", "access_token", "live_session_token", "accounts"]
    )
    assert calls[-1]["login"] == "maria"
