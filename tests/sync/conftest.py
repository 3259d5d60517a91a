"""A person with a connection to the sandbox's Schwab, made through the real sign-in."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

if TYPE_CHECKING:
    from pytest_django.fixtures import SettingsWrapper

    from brokerhub.kernel.models import User
    from connections.models import Connection
    from tests.plugins.sandbox_server import Sandbox

Connect = Callable[..., "Connection"]


@pytest.fixture
def user(db: None) -> "User":
    from brokerhub.kernel.models import User

    return User.objects.create_user("maria@example.com", "correct horse battery")


@pytest.fixture
def stranger(db: None) -> "User":
    from brokerhub.kernel.models import User

    return User.objects.create_user("charlie@example.com", "correct horse battery")


@pytest.fixture
def connect(sandbox: "Sandbox", settings: "SettingsWrapper", user: "User") -> Connect:
    """Signs `user` in at the sandbox as `login`; the connection, not yet synced."""
    from connections import connection_manager
    from connections.brokers.records import AuthMethod, Broker
    from connections.models import Connection

    settings.BROKERS_SANDBOX_URL = sandbox.base_url
    settings.SCHWAB_CALLBACK_URL = "https://127.0.0.1:8182"

    def connect(login: str = "maria") -> Connection:
        waiting = connection_manager.create_connection(
            user=user, broker=Broker.SCHWAB, method=AuthMethod.SCHWAB_OAUTH, label=f"Schwab of {login}"
        )
        address = connection_manager.start_oauth(connection=waiting)
        answer = parse_qs(urlsplit(sandbox.sign_in(address, login)).query)
        return connection_manager.complete_oauth(user=user, state=answer["state"][0], code=answer["code"][0])

    return connect


@pytest.fixture
def connection(connect: Connect) -> "Connection":
    return connect()
