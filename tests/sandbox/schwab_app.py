"""A bare app of Schwab's API for the tests: it sends what it is told and hides nothing of the answer."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import requests

from tests.plugins.sandbox_server import APP_KEY, APP_SECRET, CALLBACK, Sandbox

LIMIT = 30  # seconds


def authorization_url(sandbox: Sandbox, **query: str) -> str:
    asked = {"response_type": "code", "client_id": APP_KEY, "redirect_uri": CALLBACK, **query}
    return f"{sandbox.schwab_url}/v1/oauth/authorize?{urlencode(asked)}"


def code_of(callback: str) -> str:
    return parse_qs(urlsplit(callback).query)["code"][0]


def new_code(sandbox: Sandbox, login: str = "maria", accounts: list[str] | None = None, **query: str) -> str:
    return code_of(sandbox.sign_in(authorization_url(sandbox, **query), login, accounts))


def post_token(sandbox: Sandbox, *, secret: str = APP_SECRET, **form: str) -> requests.Response:
    url = f"{sandbox.schwab_url}/v1/oauth/token"
    return requests.post(url, data=form, auth=(APP_KEY, secret), timeout=LIMIT)


def redeem(sandbox: Sandbox, code: str, **form: str) -> requests.Response:
    return post_token(sandbox, **{"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, **form})


def refresh(sandbox: Sandbox, token: str) -> requests.Response:
    return post_token(sandbox, grant_type="refresh_token", refresh_token=token)


@dataclass
class App:
    """Signed in, with the token answer it got."""

    sandbox: Sandbox
    token: dict[str, Any]

    def get(self, path: str, **query: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token['access_token']}"}
        return requests.get(f"{self.sandbox.schwab_url}{path}", params=query, headers=headers, timeout=LIMIT)

    def hashes(self) -> dict[str, str]:
        return {row["accountNumber"]: row["hashValue"] for row in self.get("/trader/v1/accounts/accountNumbers").json()}

    def transactions(
        self, account: str, first: datetime | None = None, last: datetime | None = None, **query: str
    ) -> requests.Response:
        """Without dates: the last 364 days."""
        last = last or datetime.now(UTC)
        span = {"startDate": instant(first or last - timedelta(days=364)), "endDate": instant(last)}
        return self.get(f"/trader/v1/accounts/{account}/transactions", **{**span, **query})

    def everything(self, account: str) -> list[dict[str, Any]]:
        """All rows since the market opened, year by year."""
        rows: list[dict[str, Any]] = []
        last = datetime.now(UTC)
        while last > datetime(2021, 11, 1, tzinfo=UTC):
            first = last - timedelta(days=360)
            rows += self.transactions(account, first, last - timedelta(milliseconds=1)).json()
            last = first
        return rows


def sign_in(sandbox: Sandbox, login: str = "maria", accounts: list[str] | None = None) -> App:
    answer = redeem(sandbox, new_code(sandbox, login, accounts))
    answer.raise_for_status()
    return App(sandbox, answer.json())


def instant(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
