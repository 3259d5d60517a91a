"""The app's own login: passwords, new devices, challenges, throttling, tokens that turn over."""

from typing import Any

import pytest
import requests

from tests.plugins.sandbox_server import Sandbox
from tests.sandbox.robinhood.app import (
    DEVICE,
    LIMIT,
    WEB_CLIENT,
    App,
    post_token,
    set_way,
    sign_in,
    try_password,
    url,
)  # fmt: skip


def begin(sandbox: Sandbox) -> tuple[str, dict[str, Any]]:
    """Machine id and challenge of a login that was told to verify its device."""
    refused = try_password(sandbox)
    assert refused.status_code == 403
    workflow = refused.json()["verification_workflow"]
    assert workflow["workflow_status"] == "workflow_status_internal_pending"
    asked = {"device_id": DEVICE, "flow": "suv", "input": {"workflow_id": workflow["id"]}}
    machine = requests.post(url(sandbox, "/pathfinder/user_machine/"), json=asked, timeout=LIMIT).json()["id"]
    view = requests.get(url(sandbox, f"/pathfinder/inquiries/{machine}/user_view/"), timeout=LIMIT).json()
    challenge: dict[str, Any] = view["context"]["sheriff_challenge"]
    assert view["type_context"]["context"]["sheriff_challenge"] == challenge
    return machine, challenge


def proceed(sandbox: Sandbox, machine: str) -> dict[str, Any]:
    body = {"sequence": 0, "user_input": {"status": "continue"}}
    view = requests.post(url(sandbox, f"/pathfinder/inquiries/{machine}/user_view/"), json=body, timeout=LIMIT)
    answer: dict[str, Any] = view.json()
    return answer


def prompt(sandbox: Sandbox, challenge: dict[str, Any]) -> str:
    answer = requests.get(url(sandbox, f"/push/{challenge['id']}/get_prompts_status/"), timeout=LIMIT)
    status: str = answer.json()["challenge_status"]
    return status


def respond(sandbox: Sandbox, challenge: dict[str, Any], code: str) -> requests.Response:
    return requests.post(url(sandbox, f"/challenge/{challenge['id']}/respond/"), data={"response": code}, timeout=LIMIT)


def test_a_new_device_waits_until_the_phone_says_yes_and_is_known_from_then_on(sandbox: Sandbox) -> None:
    set_way(sandbox, "prompt", approve_after=None)
    machine, challenge = begin(sandbox)
    assert challenge["type"] == "prompt"
    assert [prompt(sandbox, challenge) for _ in range(4)] == ["issued"] * 4
    waiting = proceed(sandbox, machine)
    assert "type_context" not in waiting
    assert waiting["verification_workflow"]["workflow_status"] == "workflow_status_internal_pending"
    sandbox.control("robinhood/phone", login="maria", approve=True)
    assert prompt(sandbox, challenge) == "validated"
    assert proceed(sandbox, machine)["type_context"]["result"] == "workflow_status_approved"
    token = try_password(sandbox).json()
    assert token["token_type"] == "Bearer"
    assert len(token["refresh_token"]) == 30
    assert token["access_token"].count(".") == 2
    assert try_password(sandbox, device_token="ffffffff-0000-0000-0000-000000000000").status_code == 403


def test_a_prompt_that_was_declined_lets_nobody_in(sandbox: Sandbox) -> None:
    machine, challenge = begin(sandbox)
    sandbox.control("robinhood/phone", login="maria", approve=False)
    assert prompt(sandbox, challenge) == "failed"
    assert "type_context" not in proceed(sandbox, machine)
    assert try_password(sandbox).status_code == 403


@pytest.mark.parametrize("way", ["sms", "email", "app"])
def test_a_code_is_taken_after_a_wrong_one(sandbox: Sandbox, way: str) -> None:
    set_way(sandbox, way)
    machine, challenge = begin(sandbox)
    wrong = respond(sandbox, challenge, "000000")
    assert wrong.status_code == 400
    assert wrong.json()["detail"] == "Challenge response is invalid."
    assert wrong.json()["challenge"]["remaining_attempts"] == 2
    right = respond(sandbox, challenge, "123456").json()
    assert (right["status"], right["type"]) == ("validated", way)
    assert proceed(sandbox, machine)["type_context"]["result"] == "workflow_status_approved"
    assert "access_token" in try_password(sandbox).json()


def test_three_wrong_codes_end_the_challenge_and_five_minutes_do_as_well(sandbox: Sandbox) -> None:
    set_way(sandbox, "sms")
    _, challenge = begin(sandbox)
    assert [respond(sandbox, challenge, "000000").status_code for _ in range(3)] == [400] * 3
    assert respond(sandbox, challenge, "123456").json()["challenge"]["status"] == "failed"
    _, challenge = begin(sandbox)
    sandbox.advance(301)
    assert respond(sandbox, challenge, "123456").json()["challenge"]["status"] == "expired"


def test_a_prompt_takes_no_code(sandbox: Sandbox) -> None:
    _, challenge = begin(sandbox)
    refused = respond(sandbox, challenge, "123456")
    assert refused.json() == {"detail": "Authentication credentials were not provided."}


def test_an_authenticator_is_asked_for_and_its_code_checked(sandbox: Sandbox) -> None:
    set_way(sandbox, "mfa")
    assert try_password(sandbox).json() == {"mfa_required": True, "mfa_type": "app"}
    wrong = try_password(sandbox, mfa_code="000000")
    assert (wrong.status_code, wrong.json()) == (401, {"detail": "Please enter a valid code"})
    assert "access_token" in try_password(sandbox, mfa_code="123456").json()


def test_the_old_challenge_is_answered_by_a_header(sandbox: Sandbox) -> None:
    set_way(sandbox, "legacy")
    refused = try_password(sandbox)
    assert refused.json()["detail"] == "Request blocked, challenge issued."
    challenge = refused.json()["challenge"]
    header = {"X-ROBINHOOD-CHALLENGE-RESPONSE-ID": challenge["id"]}
    assert try_password(sandbox, headers=header).status_code == 400
    assert respond(sandbox, challenge, "123456").ok
    assert "access_token" in try_password(sandbox, headers=header).json()


def test_wrong_and_blank_passwords_are_told_apart(sandbox: Sandbox) -> None:
    wrong = try_password(sandbox, password="guess")
    assert (wrong.status_code, wrong.json()) == (400, {"detail": "Unable to log in with provided credentials."})
    assert try_password(sandbox, password="").json() == {"password": ["This field may not be blank."]}
    assert try_password(sandbox, client_id="another").status_code == 401


def test_three_failures_lock_the_login_for_minutes_even_for_the_right_password(sandbox: Sandbox) -> None:
    set_way(sandbox, "none")
    for _ in range(3):
        try_password(sandbox, password="guess")
    locked = try_password(sandbox)
    assert locked.status_code == 429
    seconds = int(locked.headers["Retry-After"])
    assert locked.json() == {"detail": f"Request was throttled. Expected available in {seconds} seconds."}
    assert 540 < seconds <= 601
    assert try_password(sandbox, "james").status_code == 403  # per account
    sandbox.advance(seconds)
    assert try_password(sandbox).ok


def test_the_web_app_may_send_json_and_ask_for_a_token_that_only_reads(sandbox: Sandbox) -> None:
    set_way(sandbox, "none")
    body = {
        "client_id": WEB_CLIENT, "grant_type": "password", "username": "maria", "password": "sandbox",
        "device_token": DEVICE, "create_read_only_secondary_token": True, "expires_in": 86400,
    }  # fmt: skip
    answer = requests.post(url(sandbox, "/oauth2/token/"), json=body, timeout=LIMIT).json()
    assert answer["expires_in"] == 691_200
    assert answer["read_only_secondary_access_token"] != answer["access_token"]


def refresh(sandbox: Sandbox, token: dict[str, Any], **form: str) -> requests.Response:
    body = {
        "grant_type": "refresh_token", "refresh_token": token["refresh_token"], "scope": "internal",
        "client_id": WEB_CLIENT, "device_token": DEVICE,
    }  # fmt: skip
    return post_token(sandbox, **body | form)


def test_a_refresh_turns_over_both_tokens_and_ends_the_old_pair(sandbox: Sandbox) -> None:
    app = sign_in(sandbox)
    fresh = refresh(sandbox, app.token).json()
    assert app.get("/positions/").json() == {"detail": "Invalid token."}
    reused = refresh(sandbox, app.token)
    assert (reused.status_code, reused.json()) == (401, {"error": "invalid_grant"})
    assert App(sandbox, fresh).get("/positions/").ok
    assert refresh(sandbox, fresh, device_token="another").status_code == 401


def test_an_access_token_lives_eight_days(sandbox: Sandbox) -> None:
    app = sign_in(sandbox)
    sandbox.advance(691_190)
    assert app.get("/positions/").ok
    sandbox.advance(11)
    assert app.get("/positions/").status_code == 401


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_revoking_either_token_ends_both(sandbox: Sandbox, which: str) -> None:
    app = sign_in(sandbox)
    form = {"client_id": WEB_CLIENT, "token": app.token[which]}
    assert requests.post(url(sandbox, "/oauth2/revoke_token/"), data=form, timeout=LIMIT).ok
    assert app.get("/positions/").status_code == 401
    assert refresh(sandbox, app.token).status_code == 401


def test_without_a_bearer_or_with_the_dead_scheme_nothing_is_told(sandbox: Sandbox) -> None:
    missing = requests.get(url(sandbox, "/positions/"), timeout=LIMIT)
    assert missing.json() == {"detail": "Authentication credentials were not provided."}
    token = sign_in(sandbox).token["access_token"]
    old = requests.get(url(sandbox, "/positions/"), headers={"Authorization": f"Token {token}"}, timeout=LIMIT)
    assert old.status_code == 401


def test_no_password_and_no_token_is_in_the_log(sandbox: Sandbox) -> None:
    app = sign_in(sandbox)
    app.get("/positions/")
    log = requests.get(f"{sandbox.base_url}/_control/calls", timeout=LIMIT).text
    assert '"operation": "token"' in log
    assert app.token["access_token"] not in log
    assert app.token["refresh_token"] not in log
    assert DEVICE not in log
