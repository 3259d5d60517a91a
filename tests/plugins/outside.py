"""The rest of the internet: what the DNS says, and servers of somebody else."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.webhooks.receiver import Receiver


@dataclass
class Names:
    """For each name, what it resolves to the first time, the second, and from then on."""

    said: dict[str, list[list[str]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def getaddrinfo(self, host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        if host[0].isdigit():  # an address needs no DNS
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]
        self.asked.append(host)
        answers = self.said[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        if not found:
            raise socket.gaierror("unknown")
        return [
            (socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in found
        ]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    return names


@pytest.fixture
def new_receiver(settings: Any) -> "Iterator[Callable[[], Receiver]]":
    from tests.webhooks.receiver import started

    settings.WEBHOOK_ALLOW_PRIVATE = True
    running: list[Receiver] = []

    def make() -> "Receiver":
        running.append(started())
        return running[-1]

    yield make
    for receiver in running:
        receiver.server.shutdown()
        receiver.server.server_close()


@pytest.fixture
def receiver(new_receiver: "Callable[[], Receiver]") -> "Receiver":
    return new_receiver()
