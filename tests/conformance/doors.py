"""How a person gets in at a broker, by the services the pages use: one class for each kind of sign-in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from connections.brokers.records import Broker

if TYPE_CHECKING:
    from brokerhub.kernel.errors import HubError
    from brokerhub.kernel.models import User
    from connections.models import Connection
    from tests.conformance.ways import Way
    from tests.plugins.sandbox_server import Sandbox


def refusal(attempt: Callable[[], object]) -> "HubError":
    """The error that `attempt` has to end in."""
    from brokerhub.kernel.errors import HubError

    try:
        attempt()
    except HubError as error:
        return error
    raise AssertionError("it was let in")


@dataclass(frozen=True)
class ByPage:
    """The broker's own page, and back with an answer in the address."""

    def go(
        self,
        way: "Way",
        sandbox: "Sandbox",
        user: "User",
        login: str,
        connection: "Connection | None",
        deny: bool = False,
    ) -> dict[str, str]:
        """Where the broker sends the person back to, as the hub reads it."""
        from connections import connection_manager

        if connection is None:
            connection = connection_manager.create_connection(user=user, broker=way.broker, method=way.method)
        landed = sandbox.sign_in(connection_manager.start_oauth(connection=connection), login, deny=deny)
        return {name: values[0] for name, values in parse_qs(urlsplit(landed).query).items()}

    def enter(
        self, way: "Way", sandbox: "Sandbox", user: "User", login: str, connection: "Connection | None"
    ) -> "Connection":
        from connections import connection_manager

        answer = self.go(way, sandbox, user, login, connection)
        return connection_manager.complete_oauth(user=user, answer=answer, broker=way.broker)

    def turn_away(self, way: "Way", sandbox: "Sandbox", user: "User") -> None:
        from connections import connection_manager

        answer = self.go(way, sandbox, user, way.login, None, deny=True)
        connection_manager.complete_oauth(user=user, answer=answer, broker=way.broker)

    def replay(self, way: "Way", sandbox: "Sandbox", user: "User", thief: "User") -> "list[HubError]":
        from connections import connection_manager

        answer = self.go(way, sandbox, user, way.login, None)

        def complete(who: "User", broker: str = way.broker) -> None:
            connection_manager.complete_oauth(user=who, answer=answer, broker=broker)

        got = [refusal(lambda: complete(thief)), refusal(lambda: complete(user, Broker.OTHER))]
        complete(user)
        return [*got, refusal(lambda: complete(user))]


@dataclass(frozen=True)
class ByKeys:
    """Keys a person has fetched at the broker."""

    good: "Callable[[Sandbox, str], dict[str, str]]"
    bad: Mapping[str, str]  # takes the place of a good one

    def enter(
        self, way: "Way", sandbox: "Sandbox", user: "User", login: str, connection: "Connection | None"
    ) -> "Connection":
        from connections import connection_manager

        keys = self.good(sandbox, login)
        return connection_manager.connect_with_keys(user=user, method=way.method, keys=keys, connection=connection)

    def turn_away(self, way: "Way", sandbox: "Sandbox", user: "User") -> None:
        from connections import connection_manager

        keys = {**self.good(sandbox, way.login), **self.bad}
        connection_manager.connect_with_keys(user=user, method=way.method, keys=keys)

    def replay(self, way: "Way", sandbox: "Sandbox", user: "User", thief: "User") -> "list[HubError]":
        return []


@dataclass(frozen=True)
class ByPreparedKeys:
    """A key pair of the hub's, whose public half the person brings to the broker, and the key given for it."""

    wrong: str

    def give(self, way: "Way", sandbox: "Sandbox", user: "User", login: str, connection: "Connection | None") -> Any:
        """The waiting connection and the key that the broker gave for what the hub has shown."""
        from connections import connection_manager

        if connection is None:
            connection = connection_manager.create_connection(user=user, broker=way.broker, method=way.method)
        [shown] = connection_manager.prepare_keys(connection=connection)
        given = sandbox.control("robinhood/keys", login=login, public_key=shown.value)
        return connection, {"api_key": given["api_key"]}

    def bring(self, way: "Way", user: "User", connection: "Connection", keys: dict[str, str]) -> "Connection":
        from connections import connection_manager

        return connection_manager.connect_with_keys(user=user, method=way.method, keys=keys, connection=connection)

    def enter(
        self, way: "Way", sandbox: "Sandbox", user: "User", login: str, connection: "Connection | None"
    ) -> "Connection":
        connection, keys = self.give(way, sandbox, user, login, connection)
        return self.bring(way, user, connection, keys)

    def turn_away(self, way: "Way", sandbox: "Sandbox", user: "User") -> None:
        connection, _keys = self.give(way, sandbox, user, way.login, None)
        self.bring(way, user, connection, {"api_key": self.wrong})

    def replay(self, way: "Way", sandbox: "Sandbox", user: "User", thief: "User") -> "list[HubError]":
        connection, keys = self.give(way, sandbox, user, way.login, None)
        connected = self.bring(way, user, connection, keys)
        return [refusal(lambda: self.bring(way, user, connected, keys))]


@dataclass(frozen=True)
class ByDialogue:
    """User name and password, then whatever the broker asks; the phone is tapped by itself."""

    def type(self, way: "Way", user: "User", login: str, connection: "Connection | None", password: str) -> Any:
        """The connection and what the broker says to user name and password."""
        from connections import connection_manager

        if connection is None:
            connection = connection_manager.create_connection(user=user, broker=way.broker, method=way.method)
        typed = {"username": f"{login}@example.test", "password": password}
        return connection, connection_manager.converse(user=user, connection=connection, answer=typed)

    def go_on(self, user: "User", connection: "Connection", step: Any) -> "Connection":
        from connections import connection_manager

        while isinstance(step, connection_manager.Asked):
            step = connection_manager.converse(user=user, connection=connection, answer={}, sealed=step.sealed)
        connected: Connection = step
        return connected

    def enter(
        self, way: "Way", sandbox: "Sandbox", user: "User", login: str, connection: "Connection | None"
    ) -> "Connection":
        connection, step = self.type(way, user, login, connection, "sandbox")
        return self.go_on(user, connection, step)

    def turn_away(self, way: "Way", sandbox: "Sandbox", user: "User") -> None:
        self.type(way, user, way.login, None, "not the password")

    def replay(self, way: "Way", sandbox: "Sandbox", user: "User", thief: "User") -> "list[HubError]":
        connection, step = self.type(way, user, way.login, None, "sandbox")
        got = [refusal(lambda: self.go_on(thief, connection, step))]
        self.go_on(user, connection, step)
        return got
