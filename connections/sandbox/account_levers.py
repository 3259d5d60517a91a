"""Accounts over time, as a lever of the control API: open one, close one, change the id a broker knows it by."""

import re
from typing import Any

from connections.sandbox.book import Account
from connections.sandbox.control import Body, NotFound, lever
from connections.sandbox.corrections import BadRequest, backdate
from connections.sandbox.market import RATES
from connections.sandbox.people import Person
from connections.sandbox.world import WORLD

RENUMBERS = {"schwab"}  # of the others the number itself is the id


@lever("GET", "POST")
def accounts(method: str, body: Body) -> Any:
    """Of a `login` at a `broker`: `open` a new one, `close`, `reopen` or `renumber` one by its number (or "all")."""
    with WORLD.lock:
        broker, person = str(body.get("broker", "schwab")), WORLD.people.get(str(body["login"]))
        if broker not in WORLD.sides:
            raise BadRequest(f"there is no broker {broker!r}")
        if person is None or not person.at(broker):
            raise NotFound(f"{body['login']!r} has no account at {broker}.")
        if method == "POST":
            _act(person, broker, body)
        return [_told(account) for account in person.at(broker)]


def _act(person: Person, broker: str, body: Body) -> None:
    if "open" in body:
        _open(person, broker, dict(body["open"]))
    elif "close" in body:
        _named(person, broker, body["close"])[0].is_closed = True
    elif "reopen" in body:
        _named(person, broker, body["reopen"])[0].is_closed = False
    elif "renumber" in body:
        if broker not in RENUMBERS:
            raise BadRequest(f"at {broker} the number of an account is its id, which stays")
        for account in _named(person, broker, body["renumber"]):
            account.renumbered += 1
    else:
        raise BadRequest("give one of open, close, reopen, renumber")


def _open(person: Person, broker: str, facts: dict[str, Any]) -> None:
    """An account with nothing but a `deposit` of yesterday (1000 unless told)."""
    currency = str(facts.get("currency", person.at(broker)[0].currency))
    if currency not in ("USD", *RATES):
        raise BadRequest(f"there is no currency {currency!r}")
    number = str(facts.get("number", _next_number(broker)))
    if WORLD.people.account(number) is not None:
        raise BadRequest(f"there is an account {number} already")
    account = Account(
        number=number,
        broker=broker,
        name=str(facts.get("name", "New account")),
        margin=bool(facts.get("margin", False)),
        currency=currency,
    )
    person.accounts.append(account)
    backdate(person, account, {"kind": "deposit", "amount": facts.get("deposit", 1000), "days_ago": 1})


def _next_number(broker: str) -> str:
    """Numbers are given out in rising order, in the form of the broker's."""
    numbers = [account.number for person in WORLD.people.everyone() for account in person.at(broker)]
    letters, digits = re.fullmatch(r"(\D*)(\d+)", max(numbers)).groups()  # type: ignore[union-attr]
    return f"{letters}{int(digits) + 1:0{len(digits)}}"


def _named(person: Person, broker: str, number: Any) -> list[Account]:
    found = [account for account in person.at(broker) if number in (account.number, "all")]
    if not found:
        raise NotFound(f"{person.login} has no account {number!r} at {broker}.")
    return found


def _told(account: Account) -> dict[str, Any]:
    return {
        "number": account.number,
        "hash": WORLD.sides[account.broker].external_id(account),
        "name": account.name,
        "closed": account.is_closed,
    }
