"""One walk over every address, as a member of staff, as the owner and as a stranger; its answers are looked at by many
tests."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.security.addresses import Address


@dataclass(frozen=True)
class Answer:
    """What came back. `written` are the statements that changed a table."""

    address: Address
    path: str
    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)
    written: tuple[str, ...]

    @property
    def kind(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0]

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def sent_to(self) -> str:
        return self.headers.get("Location") or self.headers.get("HX-Redirect") or self.headers.get("HX-Location") or ""


@contextmanager
def undone() -> Iterator[None]:
    """Whatever happens inside is taken back."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def ask(client: Client, method: str, address: Address, path: str, **more: Any) -> Answer:
    with CaptureQueriesContext(connection) as queries, undone():
        answer = client.generic(method, path, **more)
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content  # type: ignore[attr-defined]
    written = tuple(
        query["sql"] for query in queries if query["sql"].lstrip().startswith(("INSERT", "UPDATE", "DELETE", "COPY"))
    )
    return Answer(address, path, answer.status_code, dict(_headers(answer)), body, written)


def _headers(answer: Any) -> Iterable[tuple[str, str]]:
    yield from answer.headers.items()
    yield from (("Set-Cookie", cookie.OutputString()) for cookie in answer.cookies.values())
