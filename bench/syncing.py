"""A first sync over HTTP against a client that asks the sandbox the same and throws the answers away.

The brokers' pacing is off for both: how long a limit makes one wait says nothing about the hub.
"""

import re
import subprocess  # nosec B404  # started from lists of our own, without a shell
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urljoin, urlsplit

import requests

from bench.measure import ROUNDS, Ratio, in_turns, seconds

if TYPE_CHECKING:
    from connections.models import Connection

PERSON, PASSWORD = "bench", "sandbox"
APP_KEY, APP_SECRET = "sandbox0schwab0app0key0000000001", "sandboxsecret001"  # the sandbox's own, public app
LIMIT = 120  # seconds


@contextmanager
def sandbox() -> Iterator[str]:
    """A sandbox of the bench's own; its address."""
    command = [sys.executable, "manage.py", "sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # nosec B603  # a list of our own, without a shell
        try:
            assert process.stdout is not None
            announced = re.search(r"http://\S+", process.stdout.readline())
            assert announced is not None
            requests.get(f"{announced[0]}/_control/", timeout=LIMIT).raise_for_status()
            yield announced[0]
        finally:
            process.terminate()


def measure(base: str, rows: int, rounds: int = ROUNDS) -> Iterator[Ratio]:
    """`base`: the sandbox's address, which the settings name too."""
    from connections.brokers import schwab

    schwab.CALLS_PER_MINUTE = 10**6
    with requests.Session() as http:
        control(http, base, "people", login=PERSON, transactions=rows)
        control(http, base, "limits", broker="schwab", per_minute=None)
        asked: list[requests.PreparedRequest] = []

        def ours() -> float:
            return _sync(http, rows, asked)

        def floor() -> float:
            return seconds(lambda: replay(asked))

        yield from in_turns(
            f"sync of {rows:,} transactions", ours, {"the same answers thrown away": (floor, 1.5)}, rounds
        )


def replay(asked: list[requests.PreparedRequest]) -> None:
    with requests.Session() as http:
        for request in asked:
            http.send(request, timeout=LIMIT).raise_for_status()


def control(http: requests.Session, base: str, lever: str, **said: object) -> None:
    http.post(f"{base}/_control/{lever}", json=said, timeout=LIMIT).raise_for_status()


def sign_in(http: requests.Session, login: str) -> "Connection":
    """Somebody new, connected to the sandbox's `login`."""
    from uuid import uuid4

    from brokerhub.kernel.models import User
    from connections import connection_manager
    from connections.brokers.records import AuthMethod, Broker

    user = User.objects.create_user(f"{uuid4().hex}@example.com")
    made = connection_manager.create_connection(user=user, broker=Broker.SCHWAB, method=AuthMethod.SCHWAB_OAUTH)
    landed = _signed_in(http, connection_manager.start_oauth(connection=made), login)
    answer = {name: values[0] for name, values in parse_qs(urlsplit(landed).query).items()}
    return connection_manager.complete_oauth(user=user, answer=answer)


def _sync(http: requests.Session, rows: int, asked: list[requests.PreparedRequest]) -> float:
    """Seconds of the first sync of somebody new; what it asked of the broker is left in `asked`."""
    from sync import sync_service
    from sync.models import Mode, RunState, Trigger

    owner = sign_in(http, PERSON)
    run = sync_service.request_sync(user=owner.user, connection=owner, trigger=Trigger.MANUAL, mode=Mode.INITIAL)
    with noted(asked):
        taken = seconds(lambda: sync_service.run_one(run.pk))
    run.refresh_from_db()
    assert (run.state, run.inserted) == (RunState.SUCCEEDED, rows), (run.state, run.inserted, run.error)
    return taken


@contextmanager
def noted(asked: list[requests.PreparedRequest]) -> Iterator[None]:
    """What is sent to a broker while the block runs, to be sent again by the floor."""
    asked.clear()
    send = requests.Session.send

    def noting(session: requests.Session, request: requests.PreparedRequest, **options: object) -> requests.Response:
        asked.append(request.copy())
        return send(session, request, **options)  # type: ignore[arg-type]

    setattr(requests.Session, "send", noting)  # noqa: B010 (mypy and ruff disagree about assigning to a method)
    try:
        yield
    finally:
        setattr(requests.Session, "send", send)  # noqa: B010


def _signed_in(http: requests.Session, url: str, login: str) -> str:
    """The sign-in pages, gone through as a browser would; where the broker sends it back to."""
    page = http.get(url, timeout=LIMIT)
    said = {"step": "sign_in", "ticket": _ticket(page), "login": login, "password": PASSWORD}
    page = http.post(url, data=said, timeout=LIMIT)
    accounts = re.findall(r'name="account" value="([^"]+)"', page.text)
    agreed = {"step": "consent", "ticket": _ticket(page), "account": accounts, "decision": "allow"}
    page = http.post(url, data=agreed, timeout=LIMIT, allow_redirects=False)
    return urljoin(url, page.headers["Location"])


def _ticket(page: requests.Response) -> str:
    found = re.search(r'name="ticket" value="([^"]+)"', page.text)
    assert found is not None, page.text
    return found[1]
