"""Somebody's program that receives webhooks: a real HTTP server on loopback, as friendly or as nasty as told."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook


@dataclass(frozen=True)
class Got:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)
        return told

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> Any:
        """By the specification's own library. Raises WebhookVerificationError."""
        return Webhook(secret).verify(self.body, self.headers)


Behave = Callable[["Handler"], None]


def answer(status: int, body: bytes = b"ok", **headers: str) -> Behave:
    def behave(handler: "Handler") -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return behave


@dataclass
class Receiver:
    server: ThreadingHTTPServer
    got: list[Got] = field(default_factory=list)
    behave: Behave = field(default_factory=lambda: answer(200))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/hook"

    @property
    def types(self) -> list[str]:
        return [each.event["type"] for each in self.got]


class Handler(BaseHTTPRequestHandler):
    receiver: Receiver
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.receiver.got.append(Got(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.close_connection = True
        self.receiver.behave(self)

    def do_GET(self) -> None:
        self.receiver.got.append(Got(self.path, {name.lower(): value for name, value in self.headers.items()}, b""))
        self.close_connection = True
        self.receiver.behave(self)

    def log_message(self, *_: Any) -> None:
        return


def started() -> Receiver:
    handler = type("OfThisReceiver", (Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    receiver = Receiver(server)
    handler.receiver = receiver  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return receiver
