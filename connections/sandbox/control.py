"""The control API under `/_control/`: the levers behind the stage. JSON in, JSON out; no broker has it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from django.http import HttpRequest, JsonResponse

from connections.sandbox import truth
from connections.sandbox.book import Account
from connections.sandbox.corrections import BadRequest, backdate, correct
from connections.sandbox.faults import EVERY, Fault, FaultKind
from connections.sandbox.people import Person
from connections.sandbox.world import WORLD, BrokerSide, Call

MOST_INVENTED = 200_000
Body = Mapping[str, Any]
Answer = Callable[..., Any]


class NotFound(Exception):
    """The text says what is not there."""


def lever(*methods: str) -> Callable[[Answer], Callable[..., JsonResponse]]:
    """A view of a function that takes the method and the JSON body and returns what to answer."""

    def decorate(answer: Answer) -> Callable[..., JsonResponse]:
        @wraps(answer)
        def view(request: HttpRequest, **kwargs: str) -> JsonResponse:
            if request.method not in methods:
                return JsonResponse({"error": f"Use {' or '.join(methods)}."}, status=405)
            try:
                body = json.loads(request.body) if request.body else {}
                if not isinstance(body, dict):
                    raise BadRequest("The body must be a JSON object.")
                body = {**request.GET.dict(), **body}
                return JsonResponse(answer(request.method, body, **kwargs), safe=False)
            except NotFound as error:
                return JsonResponse({"error": str(error)}, status=404)
            except (BadRequest, ValueError, KeyError, TypeError) as error:
                return JsonResponse({"error": f"{error}"}, status=400)

        return view

    return decorate


@lever("GET")
def overview(method: str, body: Body) -> Any:
    """Who and what is there."""
    return {
        "now": WORLD.clock.now().isoformat(),
        "brokers": {name: sorted(side.operations) for name, side in WORLD.sides.items()},
        "people": [
            {"login": person.login, "accounts": [account.number for account in person.accounts]}
            for person in WORLD.people.everyone()
        ],
        "faults": len(list(WORLD.faults)),
        "maintenance": sorted(WORLD.maintenance),
    }


@lever("GET")
def person_truth(method: str, body: Body, login: str) -> Any:
    with WORLD.lock:
        return truth.of_person(_person(login), _broker(body) if "broker" in body else None)


@lever("POST")
def reset(method: str, body: Body) -> Any:
    WORLD.reset()
    return {"reset": True}


@lever("GET", "POST")
def clock(method: str, body: Body) -> Any:
    """`advance` seconds, set `now` (ISO, with an offset), or `real`."""
    with WORLD.lock:
        if method == "POST":
            _move_clock(body)
        offset = WORLD.clock.offset.total_seconds()
        return {"now": WORLD.clock.now().isoformat(), "offset_seconds": offset}


def _move_clock(body: Body) -> None:
    if "advance" in body:
        WORLD.clock.advance(timedelta(seconds=float(body["advance"])))
    elif "now" in body:
        moment = datetime.fromisoformat(body["now"])
        if moment.tzinfo is None:
            raise BadRequest("now needs an offset, such as 2026-11-22T12:00:00+00:00")
        WORLD.clock.set(moment)
    elif body.get("real"):
        WORLD.clock.make_real()
    else:
        raise BadRequest("Give one of advance, now, real.")


@lever("GET", "POST", "DELETE")
def faults(method: str, body: Body) -> Any:
    """POST adds one and tells its id; DELETE takes away the one with `id`, or all."""
    if method == "POST":
        return _fault(_new_fault(body))
    if method == "DELETE":
        WORLD.faults.empty(int(body["id"]) if "id" in body else None)
    return [_fault(fault) for fault in WORLD.faults]


def _new_fault(body: Body) -> Fault:
    times, operation = body.get("times"), str(body.get("operation", EVERY))
    broker = EVERY if body.get("broker") == EVERY else _broker(body)
    sides = WORLD.sides.values() if broker == EVERY else [WORLD.sides[broker]]
    known = {EVERY}.union(*(side.operations for side in sides))
    if operation not in known:
        raise BadRequest(f"operation must be one of {', '.join(sorted(known))}")
    return WORLD.faults.add(
        broker=broker,
        operation=operation,
        kind=FaultKind(str(body["kind"])),
        times=None if times is None else int(times),
        after=int(body.get("after", 0)),
        params=dict(body.get("params", {})),
    )


def _fault(fault: Fault) -> dict[str, Any]:
    return {**asdict(fault), "kind": fault.kind.value}


@lever("GET", "POST")
def maintenance(method: str, body: Body) -> Any:
    """`on` (true or false) for a `broker`: all its answers become a 503, with `retry_after` seconds if told."""
    if method == "POST":
        broker, after = _broker(body), body.get("retry_after")
        WORLD.maintenance.pop(broker, None)
        if body.get("on", True):
            WORLD.maintenance[broker] = None if after is None else int(after)
    return {"maintenance": sorted(WORLD.maintenance)}


@lever("GET", "POST")
def limits(method: str, body: Body) -> Any:
    """Calls a `broker` allows an app `per_minute`; null lifts the limit."""
    if method == "POST":
        per_minute = body["per_minute"]
        WORLD.sides[_broker(body)].limit.per_minute = None if per_minute is None else int(per_minute)
    return {name: side.limit.per_minute for name, side in WORLD.sides.items()}


@lever("GET", "POST")
def callbacks(method: str, body: Body) -> Any:
    """Callback addresses of the app registered at a `broker`; `add` registers one more until the next reset."""
    side = _side(body)
    if method == "POST":
        side.callbacks.append(str(body["add"]))
    return side.callbacks


@lever("POST")
def corrections(method: str, body: Body) -> Any:
    """Change a row (`activity_id`, `change`, `value`) or add one that is `backdated`; `corrections.py` says how.

    Answers with the row as it is now; with the newer of two, where the broker puts another in its place.
    """
    with WORLD.lock:
        person = _person(str(body["login"]))
        account = _account(person, str(body["account"]))
        if "backdated" in body:
            return truth.transaction(backdate(person, account, body["backdated"]))
        event = account.find(int(body["activity_id"]))
        if event is None:
            raise NotFound(f"There is no transaction {body['activity_id']}.")
        value = body.get("value")
        value = None if value is None else str(value)
        return truth.transaction(correct(person, account, event, change=str(body["change"]), value=value))


@lever("POST")
def tokens(method: str, body: Body) -> Any:
    """End a person's tokens now: `expire` the access tokens, `revoke` the refresh tokens, or both."""
    with WORLD.lock:
        side, login = _side(body), _person(str(body["login"])).login
        expired = side.expire_access(login) if body.get("expire") else 0
        revoked = side.revoke(login) if body.get("revoke") else 0
        return {"expired": expired, "revoked": revoked}


@lever("GET", "DELETE")
def calls(method: str, body: Body) -> Any:
    """What was called, oldest first; narrow by `broker`, `operation` or the `last` so many."""
    if method == "DELETE":
        WORLD.calls.clear()
    wanted = [
        call
        for call in tuple(WORLD.calls)
        if body.get("broker") in (None, call.broker) and body.get("operation") in (None, call.operation)
    ]
    last = int(body["last"]) if "last" in body else len(wanted)
    return [_call(call) for call in wanted[len(wanted) - last :]]


def _call(call: Call) -> dict[str, Any]:
    return {**asdict(call), "started_at": call.started_at.isoformat()}


@lever("GET", "POST")
def people(method: str, body: Body) -> Any:
    """POST invents a person for load tests: `login`, `seed`, `transactions` (at most 200,000)."""
    with WORLD.lock:
        if method == "POST":
            return _summary(_invent(body))
        return [_summary(person) for person in WORLD.people.everyone()]


def _invent(body: Body) -> Person:
    login, count = str(body["login"]).strip().lower(), int(body.get("transactions", 1_000))
    if not login or login in ("maria", "james"):
        raise BadRequest("Choose a login of your own.")
    if not 1 <= count <= MOST_INVENTED:
        raise BadRequest(f"transactions must lie between 1 and {MOST_INVENTED}")
    return WORLD.people.invent(
        login=login, seed=int(body.get("seed", 1)), transactions=count, today=WORLD.clock.today()
    )


def _summary(person: Person) -> dict[str, Any]:
    return {
        "login": person.login,
        "name": f"{person.first_name} {person.last_name}",
        "accounts": [
            {"number": account.number, "broker": account.broker, "transactions": len(account.events)}
            for account in person.accounts
        ],
    }


def _person(login: str) -> Person:
    person = WORLD.people.get(login)
    if person is None:
        raise NotFound(f"There is no person {login!r}.")
    return person


def _account(person: Person, number: str) -> Account:
    """By number or by the broker's hash."""
    for account in person.accounts:
        if number in (account.number, WORLD.sides[account.broker].external_id(account)):
            return account
    raise NotFound(f"{person.login} has no account {number!r}.")


def _broker(body: Body) -> str:
    name = str(body.get("broker", "schwab"))
    if name not in WORLD.sides:
        raise BadRequest(f"There is no broker {name!r}.")
    return name


def _side(body: Body) -> BrokerSide:
    return WORLD.sides[_broker(body)]
