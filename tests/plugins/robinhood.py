"""Connecting Robinhood as its pages do."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

if TYPE_CHECKING:
    from brokerhub.kernel.models import User
    from connections.models import Connection
    from tests.plugins.sandbox_server import Sandbox


@pytest.fixture
def connect_robinhood(sandbox: "Sandbox") -> "Callable[..., Connection]":
    """Signs a person in at Robinhood through the hub's service; the connection it gives."""
    from connections import connection_manager
    from connections.brokers.records import AuthMethod, Broker
    from connections.models import Connection

    def make(user: "User", login: str = "james") -> Connection:
        connection = connection_manager.create_connection(
            user=user, broker=Broker.ROBINHOOD, method=AuthMethod.ROBINHOOD_OAUTH
        )
        landed = sandbox.sign_in(connection_manager.start_oauth(connection=connection), login)
        answer = {name: values[0] for name, values in parse_qs(urlsplit(landed).query).items()}
        return connection_manager.complete_oauth(user=user, answer=answer, broker=Broker.ROBINHOOD)

    return make


@pytest.fixture
def connect_coins(sandbox: "Sandbox") -> "Callable[..., Connection]":
    """Brings the hub's public key to Robinhood and types the API key it gives, through the hub's service."""
    from connections import connection_manager
    from connections.brokers.records import AuthMethod, Broker
    from connections.models import Connection

    def make(user: "User", login: str = "maria", connection: Connection | None = None) -> Connection:
        method = AuthMethod.ROBINHOOD_CRYPTO
        connection = connection or connection_manager.create_connection(
            user=user, broker=Broker.ROBINHOOD, method=method
        )
        [shown] = connection_manager.prepare_keys(connection=connection)
        given = sandbox.control("robinhood/keys", login=login, public_key=shown.value)
        keys = {"api_key": given["api_key"]}
        return connection_manager.connect_with_keys(user=user, method=method, keys=keys, connection=connection)

    return make
