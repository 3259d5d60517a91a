"""People who use the hub in a browser, and their way through a broker's sign-in."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

if TYPE_CHECKING:
    from django.test import Client

    from brokerhub.kernel.models import User
    from connections.models import Connection
    from tests.plugins.sandbox_server import Sandbox


@pytest.fixture
def person(db: None) -> "User":
    from brokerhub.kernel.models import User

    return User.objects.create_user("ada@example.com", "correct horse battery", name="Ada")


@pytest.fixture
def stranger(db: None) -> "User":
    from brokerhub.kernel.models import User

    return User.objects.create_user("charlie@example.com", "correct horse battery", name="Charlie")


@pytest.fixture
def sign_up(db: None) -> "Callable[[User], Client]":
    """A browser in which this person has signed in."""
    from django.test import Client

    def make(user: "User") -> Client:
        client = Client()
        client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
        return client

    return make


@pytest.fixture
def long_ago() -> "Callable[[Client], Client]":
    """Puts a browser's signing in so far back that the hub asks once more before what would hurt most."""

    def put(client: "Client") -> "Client":
        session = client.session
        session["signed_in_at"] -= 24 * 3600
        session.save()
        return client

    return put


@pytest.fixture
def web(person: "User", sign_up: "Callable[[User], Client]") -> "Client":
    return sign_up(person)


@pytest.fixture
def stranger_web(stranger: "User", sign_up: "Callable[[User], Client]") -> "Client":
    return sign_up(stranger)


@pytest.fixture
def connect(sandbox: "Sandbox") -> "Callable[..., Connection]":
    """Signs a person in at Schwab through the hub's service, as the pages do; the connection it gives."""
    from connections import connection_manager
    from connections.brokers.records import AuthMethod, Broker
    from connections.models import Connection

    def make(user: "User", login: str = "maria", accounts: list[str] | None = None) -> Connection:
        connection = connection_manager.create_connection(
            user=user, broker=Broker.SCHWAB, method=AuthMethod.SCHWAB_OAUTH
        )
        landed = sandbox.sign_in(connection_manager.start_oauth(connection=connection), login, accounts)
        answer = {name: values[0] for name, values in parse_qs(urlsplit(landed).query).items()}
        return connection_manager.complete_oauth(user=user, answer=answer)

    return make
