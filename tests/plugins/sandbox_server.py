"""Fixtures: a real sandbox process per test run, and a helper that pulls its levers."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import pytest
import requests

ROOT = Path(__file__).resolve().parents[2]
ANNOUNCEMENT = re.compile(r"http://\S+")
START_LIMIT, ANSWER_LIMIT = 30, 30  # seconds
APP_KEY = "sandbox0schwab0app0key0000000001"
APP_SECRET = "sandboxsecret001"
CALLBACK = "https://127.0.0.1:8182"


@dataclass
class Sandbox:
    """The sandbox as a test sees it. `base_url` has no slash at its end."""

    base_url: str
    http: requests.Session = field(default_factory=requests.Session, repr=False)

    @property
    def schwab_url(self) -> str:
        return f"{self.base_url}/schwab"

    def control(self, lever: str, method: str = "POST", **body: Any) -> Any:
        """The answer of one lever of the control API. Raises requests.HTTPError when it refuses."""
        url = f"{self.base_url}/_control/{lever}"
        response = self.http.request(method, url, json=body, timeout=ANSWER_LIMIT)
        response.raise_for_status()
        return response.json()

    def reset(self) -> None:
        self.control("reset")

    def truth(self, login: str = "maria", broker: str = "schwab") -> dict[str, Any]:
        truth: dict[str, Any] = self.control(f"truth/{login}", "GET", broker=broker)
        return truth

    def fault(
        self,
        kind: str,
        operation: str = "*",
        *,
        times: int | None = None,
        after: int = 0,
        broker: str = "schwab",
        **params: Any,
    ) -> dict[str, Any]:
        """Switch a fault on; `times` None keeps it on until `clear_faults`."""
        fault: dict[str, Any] = self.control(
            "faults", broker=broker, operation=operation, kind=kind, times=times, after=after, params=params
        )
        return fault

    def clear_faults(self) -> None:
        self.control("faults", "DELETE")

    def advance(self, seconds: float) -> None:
        self.control("clock", advance=seconds)

    def set_now(self, moment: datetime) -> None:
        self.control("clock", now=moment.isoformat())

    def limit(self, per_minute: int | None, broker: str = "schwab") -> None:
        """Calls a broker allows the app in any minute; None lifts the limit."""
        self.control("limits", broker=broker, per_minute=per_minute)

    def register_callback(self, url: str) -> None:
        """Let Schwab's app come back to `url` too, until the next reset."""
        self.control("callbacks", broker="schwab", add=url)

    def maintenance(self, on: bool = True, broker: str = "schwab", retry_after: int | None = None) -> None:
        self.control("maintenance", broker=broker, on=on, retry_after=retry_after)

    def accounts(self, login: str = "maria", broker: str = "schwab", **act: Any) -> list[dict[str, Any]]:
        """A person's accounts there, after `open` (facts), `close`, `reopen` or `renumber` (a number or "all")."""
        method = "POST" if act else "GET"
        listed: list[dict[str, Any]] = self.control("accounts", method, login=login, broker=broker, **act)
        return listed

    def correct(
        self, account: str, activity_id: str | int, change: str, value: Any = None, login: str = "maria"
    ) -> dict[str, Any]:
        """Change `amount`, `price` or `status` of a row the broker has already told; the row as it is now."""
        row: dict[str, Any] = self.control(
            "corrections", login=login, account=account, activity_id=activity_id, change=change, value=value
        )
        return row

    def backdate(self, account: str, login: str = "maria", **facts: Any) -> dict[str, Any]:
        """Add a row dated earlier: kind, traded_on or days_ago, symbol, quantity, price, amount."""
        row: dict[str, Any] = self.control("corrections", login=login, account=account, backdated=facts)
        return row

    def end_tokens(
        self, login: str = "maria", *, expire: bool = False, revoke: bool = False, broker: str = "schwab"
    ) -> dict[str, int]:
        ended: dict[str, int] = self.control("tokens", broker=broker, login=login, expire=expire, revoke=revoke)
        return ended

    def calls(self, operation: str | None = None) -> list[dict[str, Any]]:
        """What was called since the last reset, oldest first."""
        narrowed = {"operation": operation} if operation else {}
        calls: list[dict[str, Any]] = self.control("calls", "GET", **narrowed)
        return calls

    def invent(self, login: str, transactions: int, seed: int = 1) -> dict[str, Any]:
        """A generated person with one account of so many transactions."""
        person: dict[str, Any] = self.control("people", login=login, transactions=transactions, seed=seed)
        return person

    def here(self, url: str) -> str:
        """An address at the broker's real host as it is reached in the sandbox."""
        parts, base = urlsplit(url), urlsplit(self.base_url)
        if parts.netloc == base.netloc:
            return url
        return urlunsplit((base.scheme, base.netloc, parts.path, parts.query, parts.fragment))

    def sign_in(
        self,
        authorization_url: str,
        login: str = "maria",
        accounts: list[str] | None = None,
        deny: bool = False,
        password: str = "sandbox",
    ) -> str:
        """Go through the sign-in pages as a browser would; the address the broker sends the browser back to.

        `accounts` are the numbers to tick; None leaves all ticked, as the page offers it.
        """
        url = self.here(authorization_url)
        ticket = _ticket(self.http.get(url, timeout=ANSWER_LIMIT))
        page = self.http.post(
            url,
            data={"step": "sign_in", "ticket": ticket, "login": login, "password": password},
            timeout=ANSWER_LIMIT,
        )
        offered = re.findall(r'name="account" value="([^"]+)"', page.text)
        response = self.http.post(
            url,
            data={
                "step": "consent",
                "ticket": _ticket(page),
                "account": offered if accounts is None else accounts,
                "decision": "deny" if deny else "allow",
            },
            timeout=ANSWER_LIMIT,
            allow_redirects=False,
        )
        assert response.status_code == 302, response.text
        return urljoin(url, response.headers["Location"])


def _ticket(page: requests.Response) -> str:
    found = re.search(r'name="ticket" value="([^"]+)"', page.text)
    assert page.ok, page.text
    assert found, page.text
    return found.group(1)


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[str]:
    """Base address of a sandbox of this test process's own."""
    port = os.environ.get("SANDBOX_PORT", "0")  # the hub under test expects it there
    command = [sys.executable, str(ROOT / "manage.py"), "sandbox", "--port", port]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        announced = ANNOUNCEMENT.search(process.stdout.readline())
        assert announced, "the sandbox said no address"
        try:
            # The socket accepts from the announcement on; the first answer comes when the worker is up.
            requests.get(f"{announced.group()}/_control/", timeout=START_LIMIT).raise_for_status()
            yield announced.group()
        finally:
            process.terminate()
            process.wait(START_LIMIT)


@pytest.fixture
def sandbox(sandbox_server: str) -> Iterator[Sandbox]:
    """The sandbox as new: seeded people, real time, no faults, an empty log."""
    with requests.Session() as http:
        helper = Sandbox(sandbox_server, http)
        helper.reset()
        yield helper
        helper.clear_faults()
