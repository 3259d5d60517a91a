"""An app of somebody else's, as its own server or phone sees the hub: addresses, a code, tokens."""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from allauth.idp.oidc.models import Client as Registered
from django.test import Client
from rest_framework.test import APIClient

from brokerhub.identity.forms import GRANTS

BACK = "https://lens.example/back"
SECRET = "the-secret-of-the-app"
VERIFIER = "a-verifier-of-forty-three-characters-or-more-000"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
SCOPES = ["connections:read", "portfolio:read", "sync:write"]


def registered(*, name: str = "Ledger Lens", public: bool = False, back: str = BACK, **fields: Any) -> Registered:
    kind = Registered.Type.PUBLIC if public else Registered.Type.CONFIDENTIAL
    client = Registered(name=name, type=kind, redirect_uris=back, **fields)
    client.set_scopes([*SCOPES, "openid", "email"])
    client.set_grant_types(GRANTS)
    client.set_secret(SECRET)
    client.save()
    return client


@dataclass
class App:
    client: Registered
    back: str = BACK
    scopes: list[str] = field(default_factory=lambda: list(SCOPES))

    def address(self, **changed: str | None) -> str:
        params = {
            "response_type": "code",
            "client_id": self.client.pk,
            "redirect_uri": self.back,
            "scope": " ".join(self.scopes),
            "state": "s-1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        wanted = {name: value for name, value in (params | changed).items() if value is not None}
        return f"/oauth/authorize?{urlencode(wanted)}"

    def decide(self, web: Client, *, action: str = "grant", scopes: list[str] | None = None, **changed: str) -> Any:
        """The person's answer on the consent page; by default all that is asked for is allowed."""
        page = web.get(self.address(**changed)).content.decode()
        signed = re.search(r'name="request"\s+value="([^"]+)"', page)
        assert signed is not None, page
        allowed = self.scopes if scopes is None else scopes
        return web.post("/oauth/authorize", {"request": signed[1], "action": action, "scopes": allowed})

    def code(self, web: Client, **how: Any) -> str:
        return answer_of(self.decide(web, **how))["code"]

    def exchange(self, code: str, **changed: str) -> Any:
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": self.back}
        return self._ask(**{**fields, "code_verifier": VERIFIER, **changed})

    def refresh(self, token: str, **changed: str) -> Any:
        return self._ask(**{"grant_type": "refresh_token", "refresh_token": token, **changed})

    def let_in(self, web: Client, **how: Any) -> dict[str, Any]:
        answer = self.exchange(self.code(web, **how))
        assert answer.status_code == 200, answer.content
        return dict(answer.json())

    def revoke(self, token: str, **fields: str) -> Any:
        return Client().post("/oauth/revoke", self._credentials() | {"token": token} | fields)

    def _ask(self, **fields: str) -> Any:
        return Client().post("/oauth/token", self._credentials() | fields)

    def _credentials(self) -> dict[str, str]:
        secret = {} if self.client.type == Registered.Type.PUBLIC else {"client_secret": SECRET}
        return {"client_id": self.client.pk, **secret}


def bearer(token: str) -> APIClient:
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {token}", raise_request_exception=False)


def answer_of(redirect: Any, back: str = BACK) -> dict[str, str]:
    """What the hub tells the app in the address to which it sends the browser."""
    assert redirect.status_code == 302, redirect.content
    address = urlsplit(redirect["Location"])
    assert address._replace(query="").geturl() == back
    return {name: values[0] for name, values in parse_qs(address.query).items()}
