"""Connecting Alpaca as its pages do."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

if TYPE_CHECKING:
    from brokerhub.kernel.models import User
    from connections.models import Connection
    from tests.plugins.sandbox_server import Sandbox


@pytest.fixture
def connect_alpaca(sandbox: "Sandbox") -> "Callable[..., Connection]":
    """Signs James in at Alpaca through the hub's service; the connection it gives."""
    from connections import connection_manager
    from connections.brokers.records import AuthMethod, Broker
    from connections.models import Connection

    def make(user: "User") -> Connection:
        connection = connection_manager.create_connection(
            user=user, broker=Broker.ALPACA, method=AuthMethod.ALPACA_OAUTH
        )
        landed = sandbox.sign_in(connection_manager.start_oauth(connection=connection), "james")
        answer = {name: values[0] for name, values in parse_qs(urlsplit(landed).query).items()}
        return connection_manager.complete_oauth(user=user, answer=answer, broker=Broker.ALPACA)

    return make
