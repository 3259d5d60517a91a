"""Connecting Interactive Brokers' Web API as its pages do: by the broker's consent page, or with own API keys."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

    from brokerhub.kernel.models import User
    from connections.models import Connection
    from tests.plugins.sandbox_server import Sandbox

THIRD_PARTY, SELF_SERVICE = "SANDBOXAA", "MARIAKEYS"


@pytest.fixture
def ibkr_app(sandbox: "Sandbox", settings: "Settings") -> dict[str, str]:
    """The hub is registered at the sandbox's Interactive Brokers; what the sandbox knows of it."""
    known: dict[str, str] = sandbox.control("ibkr/keys", "GET", consumer_key=THIRD_PARTY)
    settings.IBKR_CONSUMER_KEY = known["consumer_key"]
    settings.IBKR_SIGNING_KEY = known["signing_key"]
    settings.IBKR_ENCRYPTION_KEY = known["encryption_key"]
    settings.IBKR_DH_PRIME = known["dh_prime"]
    sandbox.control("callbacks", broker="ibkr", add=settings.IBKR_CALLBACK_URL)
    return known


@pytest.fixture
def ibkr_keys(sandbox: "Sandbox") -> dict[str, str]:
    """What maria types into the form for her own API keys."""
    known = sandbox.control("ibkr/keys", "GET", consumer_key=SELF_SERVICE)
    names = ("consumer_key", "access_token", "access_token_secret", "signing_key", "encryption_key")
    return {name: known[name] for name in names} | {"dh_param": known["dh_prime"]}


@pytest.fixture
def flex_keys(sandbox: "Sandbox") -> dict[str, str]:
    """Token and query id of maria's Flex query."""
    return {"token": sandbox.control("ibkr/flex", "GET")["token"], "query_id": "1001001"}


@pytest.fixture
def connect_ibkr(
    sandbox: "Sandbox", ibkr_app: dict[str, str], ibkr_keys: dict[str, str]
) -> "Callable[..., Connection]":
    """Connects maria by `way`, "oauth" or "keys", through the hub's service; the connection it gives."""
    from connections import connection_manager
    from connections.brokers.records import AuthMethod, Broker
    from connections.models import Connection

    def make(user: "User", way: str = "oauth", accounts: list[str] | None = None) -> Connection:
        if way == "keys":
            return connection_manager.connect_with_keys(user=user, method=AuthMethod.IBKR_KEYS, keys=ibkr_keys)
        connection = connection_manager.create_connection(user=user, broker=Broker.IBKR, method=AuthMethod.IBKR_OAUTH)
        landed = sandbox.sign_in(connection_manager.start_oauth(connection=connection), "maria", accounts)
        answer = {name: values[0] for name, values in parse_qs(urlsplit(landed).query).items()}
        return connection_manager.complete_oauth(user=user, answer=answer, broker=Broker.IBKR)

    return make
