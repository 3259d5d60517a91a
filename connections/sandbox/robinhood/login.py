"""The app's own login: password grant, device approval ("sheriff" workflow), challenges, prompts."""

import json
from typing import Any

from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from connections.sandbox.gate import Exchange, Refusal, operation
from connections.sandbox.people import Person
from connections.sandbox.robinhood.devices import APP, CODE, LEGACY, MFA, NONE, PROMPT, SMS, VALIDATED, Challenge
from connections.sandbox.robinhood.side import NO_BEARER, ROBINHOOD
from connections.sandbox.robinhood.vault import ACCESS_LIFETIMES, PRIVATE, READ, Grant
from connections.sandbox.robinhood.wire import instant, uid
from connections.sandbox.world import WORLD

WEB_CLIENT = "c82SH0WZOsabOXGP2sxqcj34FxkvfnWRZBKlBjFS"  # public and the same in every client of the private API
CHALLENGE_HEADER = "X-ROBINHOOD-CHALLENGE-RESPONSE-ID"
WRONG_PASSWORD = {"detail": "Unable to log in with provided credentials."}
PENDING, APPROVED = "workflow_status_internal_pending", "workflow_status_approved"
YES = ("true", "1")
Form = dict[str, str]


def form_of(request: HttpRequest) -> Form:
    """The body's fields, sent as a form or as JSON (the web app). Raises Refusal for JSON that is none."""
    if "json" not in request.headers.get("Content-Type", ""):
        return {name: str(value) for name, value in request.POST.items()}
    try:
        body = json.loads(request.body or b"{}")
    except ValueError as error:
        raise Refusal(400, {"detail": "JSON parse error"}) from error
    if not isinstance(body, dict):
        raise Refusal(400, {"non_field_errors": ["Invalid data. Expected a dictionary."]})
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()}


def by_password(request: HttpRequest, exchange: Exchange, form: Form) -> dict[str, Any]:
    """Tokens for a known device; for a new one a workflow first. Raises Refusal in every other case."""
    _require(form, "username", "password", "device_token")
    login = form["username"].partition("@")[0].strip().lower()
    _heed_throttle(login)
    person = WORLD.people.get(login)
    if form.get("client_id") != WEB_CLIENT:
        raise Refusal(401, {"error": "invalid_client"})
    if person is None or not person.at(ROBINHOOD.name) or not constant_time_compare(person.password, form["password"]):
        ROBINHOOD.desk.note_failure(login)
        raise Refusal(400, WRONG_PASSWORD)
    exchange.call.login = person.login
    if early := _second_factor(request, person, form):
        return early
    grant = ROBINHOOD.vault.grant(PRIVATE, WEB_CLIENT, person.login, form["device_token"])
    return tokens(grant, form)


def _require(form: Form, *names: str) -> None:
    for name in names:
        if name not in form:
            raise Refusal(400, {name: ["This field is required."]})
        if not form[name]:
            raise Refusal(400, {name: ["This field may not be blank."]})


def _heed_throttle(login: str) -> None:
    if seconds := ROBINHOOD.desk.throttled_for(login):
        detail = f"Request was throttled. Expected available in {seconds} seconds."
        raise Refusal(429, {"detail": detail}, {"Retry-After": str(seconds)})


def _second_factor(request: HttpRequest, person: Person, form: Form) -> dict[str, Any] | None:
    """None: let in. Otherwise the answer that asks for a code; raises Refusal where that is an error's status."""
    desk, device = ROBINHOOD.desk, form["device_token"]
    way = desk.policy(person.login).way
    if way == MFA:
        return _code_up_front(person.login, form)
    if way == NONE or desk.knows(person.login, device):
        desk.accept(person.login, device)
        return None
    if way == LEGACY:
        answered = desk.find(id=request.headers.get(CHALLENGE_HEADER, ""), login=person.login, device=device)
        if answered and answered.status == VALIDATED:
            return None
        challenge = desk.challenge(person.login, device, SMS)
        raise Refusal(400, {"detail": "Request blocked, challenge issued.", "challenge": _old_challenge(challenge)})
    challenge = desk.challenge(person.login, device, way)
    workflow = {"id": challenge.workflow_id, "workflow_status": PENDING}
    raise Refusal(403, {"verification_workflow": workflow})


def _code_up_front(login: str, form: Form) -> dict[str, Any] | None:
    code = form.get("mfa_code")
    if not code:
        return {"mfa_required": True, "mfa_type": APP}
    if code != CODE:
        ROBINHOOD.desk.note_failure(login)
        raise Refusal(401, {"detail": "Please enter a valid code"})
    return None


def tokens(grant: Grant, form: Form) -> dict[str, Any]:
    """The token object of the private API. The lifetime asked for is ignored."""
    body = {
        "access_token": ROBINHOOD.vault.issue(grant),
        "expires_in": int(ACCESS_LIFETIMES[PRIVATE].total_seconds()),
        "token_type": "Bearer",  # nosec B105  # a word of the protocol
        "scope": "internal",
        "refresh_token": grant.refresh_token,
        "mfa_code": None,
        "backup_code": None,
        "user_uuid": uid("user", grant.login),
    }
    if form.get("create_read_only_secondary_token", "").lower() in YES:
        body["read_only_secondary_access_token"] = ROBINHOOD.vault.issue(grant, READ)
    return body


# The workflow of a new device


@operation(ROBINHOOD, "challenge")
def user_machine(request: HttpRequest, exchange: Exchange) -> Any:
    """Begin the workflow of a refused login."""
    body = _json(request)
    wanted = body.get("input")
    workflow = str(wanted.get("workflow_id", "")) if isinstance(wanted, dict) else ""
    challenge = _found(exchange, workflow_id=workflow, device=str(body.get("device_id", "")))
    return {"id": challenge.machine_id}


@operation(ROBINHOOD, "challenge")
def user_view(request: HttpRequest, exchange: Exchange, machine: str) -> Any:
    challenge = _found(exchange, machine_id=machine)
    if request.method == "POST":
        _json(request)
        return _result(challenge)
    return {
        **VIEW, "sequence": 0, "state_name": "Challenge", "prev_state_name": "EntryPoint",
        "context": {
            "sheriff_flow_id": "login_suv", "initial_alert": None, "fallback_cta_text": "Try another way",
            "verification_workflow_id": challenge.workflow_id, "sheriff_challenge": _sheriff(challenge),
        },
        "type_context": {"page": "ChallengePage", "context": {"sheriff_challenge": _sheriff(challenge)}},
    }  # fmt: skip


VIEW: dict[str, Any] = {
    "page": "ChallengePage", "type": "page", "polling_interval": None, "http_status": 200,
    "should_replace_current_page": False, "toast": None, "locality": "US",
}  # fmt: skip


def _result(challenge: Challenge) -> dict[str, Any]:
    """While it waits there is no `type_context` at all: public clients index its `result` unguarded."""
    if challenge.status != VALIDATED:
        workflow = {"id": challenge.workflow_id, "workflow_status": PENDING}
        return {**VIEW, "page": None, "context": None, "verification_workflow": workflow}
    outcome = {"result": APPROVED, "result_type": "security.verification-result"}
    return {**VIEW, "page": None, "context": None, "type": "result", "type_context": outcome}


@operation(ROBINHOOD, "challenge")
def prompt_status(request: HttpRequest, exchange: Exchange, challenge_id: str) -> Any:
    return {"challenge_status": ROBINHOOD.desk.poll(_found(exchange, id=challenge_id, way=PROMPT))}


@operation(ROBINHOOD, "challenge")
def respond(request: HttpRequest, exchange: Exchange, challenge_id: str) -> Any:
    """A code for a challenge. One that waits for a tap on the phone takes none."""
    challenge = _found(exchange, id=challenge_id)
    if challenge.way == PROMPT:
        raise Refusal(401, NO_BEARER)
    if not ROBINHOOD.desk.respond(challenge, form_of(request).get("response", "")):
        raise Refusal(400, {"detail": "Challenge response is invalid.", "challenge": _old_challenge(challenge)})
    return {
        "id": challenge.id, "type": challenge.way, "alternate_type": None, "status": challenge.status,
        "remaining_retries": 0, "remaining_attempts": 0, "expires_at": instant(challenge.expires_at),
        "updated_at": instant(WORLD.clock.now()), "flow_id": "login_suv", "mfa_status": APP,
    }  # fmt: skip


def _found(exchange: Exchange, **wanted: str) -> Challenge:
    challenge = ROBINHOOD.desk.find(**wanted)
    if challenge is None:
        raise Refusal(404, {"detail": "Not found."})
    exchange.call.login = challenge.login
    return challenge


def _json(request: HttpRequest) -> dict[str, Any]:
    """This part of the API takes nothing but JSON objects."""
    if "json" not in request.headers.get("Content-Type", ""):
        raise Refusal(415, {"detail": "Unsupported media type in request."})
    try:
        body = json.loads(request.body)
    except ValueError as error:
        raise Refusal(400, {"detail": "JSON parse error"}) from error
    return body if isinstance(body, dict) else {}


def _sheriff(challenge: Challenge) -> dict[str, Any]:
    return {
        "id": challenge.id,
        "type": challenge.way,
        "status": challenge.status,
        "remaining_retries": challenge.tries_left,
        "remaining_attempts": challenge.tries_left,
        "expires_at": instant(challenge.expires_at),
    }


def _old_challenge(challenge: Challenge) -> dict[str, Any]:
    return {**_sheriff(challenge), "user": uid("user", challenge.login), "alternate_type": None}
