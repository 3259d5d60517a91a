"""A bare client of Interactive Brokers' Web API for the tests: it signs as told and hides nothing of the answer."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, quote, quote_plus, urlsplit

import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.plugins.sandbox_server import Sandbox

LIMIT = 30  # seconds
MAIN, SAVINGS = "U7712345", "U7712346"


def base_text(method: str, url: str, pairs: dict[str, str]) -> str:
    joined = "&".join(f"{name}={pairs[name]}" for name in sorted(pairs))
    return f"{method}&{quote_plus(url)}&{quote_plus(joined)}"


def authorization(realm: str, pairs: dict[str, str]) -> str:
    told = ", ".join(f'{name}="{quote(value, safe="")}"' for name, value in sorted(pairs.items()))
    return f'OAuth realm="{realm}", {told}'


def own_key(pem: str) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


@dataclass
class WebClient:
    """One consumer, and the person behind its access token once there is one."""

    sandbox: Sandbox
    consumer: dict[str, Any]
    token: str = ""
    sealed_secret: str = field(default="", repr=False)
    session: bytes = field(default=b"", repr=False)

    @property
    def base_url(self) -> str:
        return f"{self.sandbox.base_url}/ibkr/v1/api"

    def now(self) -> int:
        """Seconds by the sandbox's clock."""
        return int(datetime.fromisoformat(self.sandbox.control("clock", "GET")["now"]).timestamp())

    def parameters(self, method: str, **more: str) -> dict[str, str]:
        return {
            "oauth_consumer_key": self.consumer["consumer_key"],
            "oauth_nonce": secrets.token_hex(8),
            "oauth_timestamp": str(self.now()),
            "oauth_signature_method": method,
            **more,
        }

    def post_signed(self, path: str, *, prepend: str = "", realm: str | None = None, **more: str) -> requests.Response:
        """One of OAuth's own calls, signed with the consumer's key."""
        pairs = self.parameters("RSA-SHA256", **more)
        url = f"{self.base_url}/oauth/{path}"
        text = prepend + base_text("POST", url, pairs)
        key = own_key(self.consumer["signing_key"])
        signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        header = authorization(
            realm or self.consumer["realm"], pairs | {"oauth_signature": base64.b64encode(signature).decode()}
        )
        return requests.post(url, headers={"Authorization": header}, timeout=LIMIT)

    def request_token(self) -> str:
        answer = self.post_signed("request_token", oauth_callback="oob")
        answer.raise_for_status()
        token: str = answer.json()["oauth_token"]
        return token

    def consent_url(self, request_token: str, **query: str) -> str:
        more = "".join(f"&{name}={quote(value, safe='')}" for name, value in query.items())
        return f"https://www.interactivebrokers.com/authorize?oauth_token={request_token}{more}"

    def sign_in(self, login: str = "maria", accounts: list[str] | None = None) -> "WebClient":
        """The third party's whole way: request token, consent, access token."""
        back = self.sandbox.sign_in(self.consent_url(self.request_token()), login, accounts)
        query = parse_qs(urlsplit(back).query)
        answer = self.post_signed(
            "access_token", oauth_token=query["oauth_token"][0], oauth_verifier=query["oauth_verifier"][0]
        )
        answer.raise_for_status()
        self.token, self.sealed_secret = answer.json()["oauth_token"], answer.json()["oauth_token_secret"]
        return self

    @property
    def secret(self) -> bytes:
        key = own_key(self.consumer["encryption_key"])
        return key.decrypt(base64.b64decode(self.sealed_secret), padding.PKCS1v15())

    def ask_for_session(self, challenge: int, **more: str) -> requests.Response:
        return self.post_signed(
            "live_session_token",
            **{
                "prepend": self.secret.hex(),
                "oauth_token": self.token,
                "diffie_hellman_challenge": f"{challenge:x}",
                **more,
            },
        )

    def open_session(self) -> "WebClient":
        """A live session token, checked against the broker's signature of it."""
        prime, private = int(self.consumer["dh_prime"], 16), secrets.randbits(256)
        answer = self.ask_for_session(pow(self.consumer["dh_generator"], private, prime))
        answer.raise_for_status()
        shared = pow(int(answer.json()["diffie_hellman_response"], 16), private, prime)
        shared_bytes = shared.to_bytes(shared.bit_length() // 8 + 1, "big")
        self.session = hmac.new(shared_bytes, self.secret, hashlib.sha1).digest()
        told = answer.json()["live_session_token_signature"]
        assert hmac.new(self.session, self.consumer["consumer_key"].encode(), hashlib.sha1).hexdigest() == told
        return self

    def call(
        self, path: str, method: str = "GET", *, query: str = "", query_in: str = "list", json: Any = None, **more: str
    ) -> requests.Response:
        """`query` as text; it is signed in the `list` of parameters, in the `url`, or `nowhere`."""
        pairs = self.parameters("HMAC-SHA256", **{"oauth_token": self.token, **more})
        url = f"{self.base_url}{path}"
        in_list = dict(part.split("=", 1) for part in query.split("&")) if query and query_in == "list" else {}
        signed_url = f"{url}?{query}" if query_in == "url" else url
        text = base_text(method, signed_url, pairs | in_list)
        pairs["oauth_signature"] = base64.b64encode(hmac.digest(self.session, text.encode(), "sha256")).decode()
        header = authorization(self.consumer["realm"], pairs)
        address = f"{url}?{query}" if query else url
        return requests.request(method, address, headers={"Authorization": header}, json=json, timeout=LIMIT)


def third_party(sandbox: Sandbox) -> WebClient:
    return WebClient(sandbox, sandbox.control("ibkr/keys", "GET"))


def self_service(sandbox: Sandbox, consumer_key: str = "MARIAKEYS") -> WebClient:
    """With the access token the portal shows; no session yet."""
    keys = sandbox.control("ibkr/keys", "GET", consumer_key=consumer_key, login="maria")
    return WebClient(sandbox, keys, keys["access_token"], keys["access_token_secret"])


def ready(sandbox: Sandbox) -> WebClient:
    """A session in which the accounts have been asked for, and the pacing lifted."""
    sandbox.limit(None, broker="ibkr")
    client = self_service(sandbox).open_session()
    assert client.call("/portfolio/accounts").status_code == 200
    return client
