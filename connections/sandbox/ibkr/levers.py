"""The control API's levers that only Interactive Brokers has: its keys, its Flex tokens, its switches."""

from dataclasses import asdict, fields
from datetime import timedelta
from typing import Any

from connections.sandbox.control import Body, NotFound, lever
from connections.sandbox.corrections import BadRequest
from connections.sandbox.ibkr.authority import Grant
from connections.sandbox.ibkr.flex_tokens import QUERIES, STANDARD_LIFETIME
from connections.sandbox.ibkr.registration import (
    THIRD_PARTY,
    Consumer,
    KeyPair,
    OwnKey,
    private_pem,
    public_key,
)
from connections.sandbox.ibkr.side import IBKR, Switches
from connections.sandbox.people import Person
from connections.sandbox.world import WORLD

SELF_SERVICE_LENGTH = 9


@lever("GET", "POST")
def keys(method: str, body: Body) -> Any:
    """All a client needs of one consumer (`consumer_key`; without one: the third party).

    With a `login`, or when the consumer is somebody's own, also an access token and its secret; POST makes new ones
    and ends those before. The private keys are told where the sandbox made them itself.
    """
    with WORLD.lock:
        consumer = _consumer(str(body.get("consumer_key", THIRD_PARTY)))
        login = consumer.login or body.get("login")
        answer = _known(consumer)
        return answer | (_credentials(consumer, _customer(str(login)), renew=method == "POST") if login else {})


@lever("POST")
def consumers(method: str, body: Body) -> Any:
    """Register a consumer with keys of its own: `consumer_key`, `signing_key`, `encryption_key` (public, PEM),
    `dh_prime` (hex), and `login` when they are somebody's self-service keys.
    """
    key, login = str(body["consumer_key"]), body.get("login")
    is_letters = len(key) == SELF_SERVICE_LENGTH and key.isascii() and key.isalpha() and key.isupper()
    if login is not None and not is_letters:
        raise BadRequest("a self-service consumer key is nine capital letters")
    with WORLD.lock:
        if login is not None:
            _customer(str(login))
        consumer = Consumer(
            key, public_key(str(body["signing_key"])), public_key(str(body["encryption_key"])),
            None if login is None else str(login),
        )  # fmt: skip
        if "dh_prime" in body:
            consumer.prime = int(str(body["dh_prime"]), 16)
        IBKR.consumers[key] = consumer
        return _known(consumer) | (_credentials(consumer, _customer(str(login)), renew=True) if login else {})


def _consumer(key: str) -> Consumer:
    if key not in IBKR.consumers:
        raise NotFound(f"There is no consumer {key!r}.")
    return IBKR.consumers[key]


def _customer(login: str) -> Person:
    person = WORLD.people.get(login)
    if person is None or not person.at(IBKR.name):
        raise NotFound(f"{login!r} has no account at Interactive Brokers.")
    return person


def _known(consumer: Consumer) -> dict[str, Any]:
    return {
        "consumer_key": consumer.key,
        "realm": consumer.realm,
        "login": consumer.login,
        "dh_prime": f"{consumer.prime:x}",
        "dh_generator": consumer.generator,
        "signing_key": _private(consumer.signing),
        "encryption_key": _private(consumer.encryption),
        "callbacks": IBKR.callbacks,
    }


def _private(key: KeyPair | OwnKey) -> str | None:
    return private_pem(key.private) if isinstance(key, KeyPair) else None


def _credentials(consumer: Consumer, person: Person, *, renew: bool) -> dict[str, Any]:
    if renew:
        IBKR.authority.revoke(person.login, consumer)
    grant: Grant | None = IBKR.authority.of_consumer(consumer, person.login)
    if grant is None:
        grant = IBKR.authority.grant(consumer, person.login, [account.number for account in person.at(IBKR.name)])
    return {"access_token": grant.token, "access_token_secret": grant.encrypted_secret()}


@lever("GET", "POST")
def flex(method: str, body: Body) -> Any:
    """The Flex token of `login` and the queries; POST makes a new token that lives so many `seconds`."""
    with WORLD.lock:
        login = _customer(str(body.get("login", "maria"))).login
        if method == "POST":
            seconds = float(body.get("seconds", STANDARD_LIFETIME.total_seconds()))
            IBKR.flex.renew(login, timedelta(seconds=seconds))
        token = IBKR.flex.token_of(login)
        return {
            "token": token.token,
            "expires_at": token.expires_at.isoformat(),
            "queries": {query.id: query.name for query in QUERIES.values()},
        }


@lever("GET", "POST")
def switches(method: str, body: Body) -> Any:
    """How strict or how slow the broker is; any of them until the next reset."""
    known = {field.name: type(getattr(IBKR.switches, field.name)) for field in fields(Switches)}
    if method == "POST":
        if unknown := set(body) - set(known):
            raise BadRequest(f"there is no switch {', '.join(sorted(unknown))}; there are {', '.join(known)}")
        with WORLD.lock:
            for name, value in body.items():
                setattr(IBKR.switches, name, known[name](value))
    return asdict(IBKR.switches)
