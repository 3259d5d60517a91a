"""Bare clients of Robinhood for the tests: they send what they are told and hide nothing of the answer."""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import requests

from tests.plugins.sandbox_server import Sandbox

LIMIT = 30  # seconds
WEB_CLIENT = "c82SH0WZOsabOXGP2sxqcj34FxkvfnWRZBKlBjFS"
DEVICE = "12345678-9abc-def0-1234-56789abcdef0"
CALLBACK = "http://127.0.0.1:8000/connections/callback/robinhood"
VERIFIER = "a-verifier-that-is-long-enough-for-the-rules-of-rfc-7636"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


def url(sandbox: Sandbox, path: str, host: str = "api") -> str:
    return f"{sandbox.base_url}/robinhood/{host}{path}"


# The app's own login


def post_token(sandbox: Sandbox, headers: dict[str, str] | None = None, **form: str) -> requests.Response:
    return requests.post(url(sandbox, "/oauth2/token/"), data=form, headers=headers, timeout=LIMIT)


def try_password(
    sandbox: Sandbox,
    login: str = "maria",
    password: str = "sandbox",
    headers: dict[str, str] | None = None,
    **form: str,
) -> requests.Response:
    body = {
        "client_id": WEB_CLIENT, "grant_type": "password", "username": f"{login}@example.test", "password": password,
        "scope": "internal", "expires_in": "86400", "device_token": DEVICE,
    }  # fmt: skip
    return post_token(sandbox, headers, **body | form)


def set_way(sandbox: Sandbox, way: str, login: str = "maria", **facts: Any) -> None:
    sandbox.control("robinhood/logins", login=login, way=way, **facts)


@dataclass
class App:
    """Signed in, with the token answer it got. `all` follows every `next`."""

    sandbox: Sandbox
    token: dict[str, Any]
    followed: list[str] = field(default_factory=list)

    def get(self, path: str, host: str = "api", **query: str) -> requests.Response:
        return self.get_url(url(self.sandbox, path, host), **query)

    def get_url(self, address: str, **query: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token['access_token']}"}
        return requests.get(address, params=query, headers=headers, timeout=LIMIT)

    def all(self, path: str, host: str = "api", **query: str) -> list[dict[str, Any]]:
        answer = self.get(path, host, **query)
        answer.raise_for_status()
        page = answer.json()
        rows: list[dict[str, Any]] = page["results"]
        while page["next"]:
            self.followed.append(page["next"])
            page = self.get_url(page["next"]).json()
            rows += page["results"]
        return rows


def sign_in(sandbox: Sandbox, login: str = "maria") -> App:
    """By password, with no question asked about the device."""
    set_way(sandbox, "none", login)
    answer = try_password(sandbox, login)
    answer.raise_for_status()
    return App(sandbox, answer.json())


# Official sign-in


def register(sandbox: Sandbox, *redirect_uris: str, **metadata: Any) -> requests.Response:
    body = {"client_name": "Test", "redirect_uris": list(redirect_uris or [CALLBACK]), **metadata}
    return requests.post(url(sandbox, "/oauth/trading/register", "agent"), json=body, timeout=LIMIT)


def authorization_url(sandbox: Sandbox, client_id: str, /, **query: str | None) -> str:
    asked = {
        "response_type": "code", "client_id": client_id, "redirect_uri": CALLBACK, "state": "s1",
        "code_challenge": CHALLENGE, "code_challenge_method": "S256", "scope": "internal",
        "resource": url(sandbox, "/mcp/trading", "agent"), **query,
    }  # fmt: skip
    return url(sandbox, "/oauth", "www") + "?" + urlencode({key: value for key, value in asked.items() if value})


def new_code(sandbox: Sandbox, client_id: str, login: str = "maria", **query: str | None) -> str:
    back = sandbox.sign_in(authorization_url(sandbox, client_id, **query), login)
    return parse_qs(urlsplit(back).query)["code"][0]


def redeem(sandbox: Sandbox, client_id: str, code: str, /, **form: str) -> requests.Response:
    body = {
        "grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "client_id": client_id,
        "code_verifier": VERIFIER, "resource": url(sandbox, "/mcp/trading", "agent"),
    }  # fmt: skip
    return post_token(sandbox, None, **body | form)


def agentic(sandbox: Sandbox, login: str = "maria") -> tuple[str, dict[str, Any]]:
    """Client id and token answer of a finished official sign-in."""
    client_id: str = register(sandbox).json()["client_id"]
    answer = redeem(sandbox, client_id, new_code(sandbox, client_id, login))
    answer.raise_for_status()
    return client_id, answer.json()


def text_of(page: requests.Response) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text))
