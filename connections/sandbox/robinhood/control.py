"""Robinhood's own levers of the control API: how a login is checked, what is tapped on the phone, crypto keys."""

from typing import Any

from connections.sandbox.control import Body, NotFound, lever
from connections.sandbox.corrections import BadRequest
from connections.sandbox.robinhood.devices import ISSUED, WAYS
from connections.sandbox.robinhood.keys import BadKey, Key
from connections.sandbox.robinhood.side import ROBINHOOD
from connections.sandbox.world import WORLD


@lever("GET", "POST")
def logins(method: str, body: Body) -> Any:
    """How a `login` is checked: `way`, and after how many polls a prompt is approved (null: by hand only)."""
    policy = ROBINHOOD.desk.policy(_login(body))
    if method == "POST":
        way = str(body.get("way", policy.way))
        if way not in WAYS:
            raise BadRequest(f"way must be one of {', '.join(WAYS)}")
        policy.way = way
        if "approve_after" in body:
            policy.approve_after = None if body["approve_after"] is None else int(body["approve_after"])
    return {"way": policy.way, "approve_after": policy.approve_after}


@lever("POST")
def phone(method: str, body: Body) -> Any:
    """Tap on the phone: `approve` true or false for the newest waiting challenge of a `login`."""
    with WORLD.lock:
        challenge = ROBINHOOD.desk.find(login=_login(body), status=ISSUED)
        if challenge is None:
            raise NotFound("No challenge is waiting.")
        ROBINHOOD.desk.decide(challenge, approve=bool(body.get("approve", True)))
        return {"status": challenge.status}


@lever("GET", "POST")
def keys(method: str, body: Body) -> Any:
    """Keys of a `login`; with `public_key` (base64) register one (as `api_key`, if named); `disable` ends all."""
    with WORLD.lock:
        login = _login(body)
        if method == "POST" and body.get("disable"):
            ROBINHOOD.keys.disable(login)
        elif method == "POST":
            try:
                named = str(body["api_key"]) if "api_key" in body else None
                return _told(ROBINHOOD.keys.register(login, str(body["public_key"]), named))
            except BadKey as error:
                raise BadRequest(str(error)) from error
        return [_told(key) for key in ROBINHOOD.keys.of(login)]


def _told(key: Key) -> dict[str, Any]:
    return {"api_key": key.id, "public_key": key.public_key, "disabled": key.disabled}


def _login(body: Body) -> str:
    login = str(body.get("login", "maria"))
    person = WORLD.people.get(login)
    if person is None:
        raise NotFound(f"There is no person {login!r}.")
    return person.login
