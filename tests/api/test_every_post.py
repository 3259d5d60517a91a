"""`Idempotency-Key` on every POST of the API, from the list of addresses: a new one is tried, too.

What a view does is replaced by counting, so that each needs no world of its own; all around it is as always. Whole
requests are sent again in test_idempotency.py.
"""

import json
from typing import Any

import pytest
from django.db import OperationalError
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.parsers import JSONParser
from rest_framework.response import Response

from brokerhub.kernel.models import KeyedRequest, User

IDS = {"int": "7", "uuid": "00000000-0000-4000-8000-000000000007"}


def posts(resolver: URLResolver | None = None, prefix: str = "/") -> list[tuple[str, Any]]:
    """Address and view of everything under /api/ that takes a POST."""
    found = []
    for entry in (resolver or get_resolver()).url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            found += posts(entry, route) if route.startswith("/api/") or prefix == "/" else []
        elif route.startswith("/api/") and hasattr(view := getattr(entry.callback, "cls", None), "post"):
            found.append((_address(entry, route), view))
    return found


def _address(entry: URLPattern, route: str) -> str:
    for name, converter in entry.pattern.converters.items():
        kind = type(converter).__name__.removesuffix("Converter").lower()
        start, end = route.index("<"), route.index(">") + 1
        assert name in route[start:end]
        route = route[:start] + IDS.get(kind, "schwab") + route[end:]
    return route


POSTS = posts()
each_post = pytest.mark.parametrize(("address", "view"), POSTS, ids=[address for address, _ in POSTS])


def test_the_posts_were_found():
    addresses = {address for address, _ in POSTS}
    assert len(addresses) >= 24
    assert {"/api/v1/brokerage/sync", "/api/v1/brokerage/import", "/api/v1/brokerage/connections"} <= addresses


class Desk:
    """In place of what a view does: numbers the requests it lets through."""

    def __init__(self, status: int = 201) -> None:
        self.status, self.done, self.meanwhile = status, 0, lambda: None

    def post(self, view: Any, request: Any, *args: Any, **kwargs: Any) -> Response:
        self.done += 1
        self.meanwhile()
        return Response({"number": self.done, "secret": "shown once"}, status=self.status)


@each_post
def test_a_post_is_done_once_for_each_person_and_body(address, view, api, token_client, monkeypatch):
    desk = Desk()
    monkeypatch.setattr(view, "post", lambda *args, **kwargs: desk.post(*args, **kwargs))
    is_json = JSONParser in view.parser_classes

    def send(client, body: dict[str, Any]):
        kind = "json" if is_json else "multipart"
        return client.post(address, body, format=kind, headers={"Idempotency-Key": "one"})

    in_flight: list[Any] = []
    desk.meanwhile = lambda: in_flight.append(send(api, {"a": "1"}))
    first = send(api, {"a": "1"})
    desk.meanwhile = lambda: None
    assert [(answer.status_code, answer.json()["code"]) for answer in in_flight] == [(409, "idempotency_key_in_use")]
    again, other_body = send(api, {"a": "1"}), send(api, {"a": "2"})
    assert (first.status_code, again.status_code) == (201, 201), first.content
    assert (again.json(), again["Idempotency-Replayed"]) == (first.json(), "true")
    assert (other_body.status_code, other_body.json()["code"]) == (422, "idempotency_key_reused")
    stranger = send(token_client(User.objects.create_user("james@example.com")), {"a": "1"})
    assert "Idempotency-Replayed" not in stranger
    assert (stranger.status_code, desk.done) == (201, 2)
    assert not any(b"shown once" in bytes(row.sealed_answer) for row in KeyedRequest.objects.all())


@pytest.mark.parametrize(("status", "times"), [(200, 1), (202, 1), (500, 1), (400, 2), (409, 2), (502, 2), (503, 2)])
def test_what_was_refused_or_could_not_be_tried_may_be_sent_again(status, times, api, monkeypatch):
    """But not what failed nobody knows where."""
    address, view = POSTS[0]
    desk = Desk(status)
    monkeypatch.setattr(view, "post", lambda *args, **kwargs: desk.post(*args, **kwargs))
    answers = [api.post(address, {}, headers={"Idempotency-Key": "one"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [status, status]
    assert desk.done == times
    assert json.loads(answers[1].content)["number"] == times


def test_a_failure_is_told_again_with_its_own_request_id(api, monkeypatch):
    """The id leads to the log of the time when it happened."""
    address, view = POSTS[0]

    def fail(*args: Any, **kwargs: Any) -> Response:
        raise KeyError("a secret in a variable")

    monkeypatch.setattr(view, "post", fail)
    first, again = (api.post(address, {}, headers={"Idempotency-Key": "one"}) for _ in range(2))
    assert (first.status_code, again.status_code, again["Idempotency-Replayed"]) == (500, 500, "true")
    assert again.json()["request_id"] == first["X-Request-ID"] != again["X-Request-ID"]


def test_an_answer_that_cannot_be_kept_is_sent_all_the_same(api, monkeypatch, capfd):
    """An error would make the caller try again what is done."""
    address, view = POSTS[0]
    desk = Desk()
    monkeypatch.setattr(view, "post", lambda *args, **kwargs: desk.post(*args, **kwargs))

    def refuse(*_args: Any, **_words: Any) -> None:
        raise OperationalError("the connection is closed")

    desk.meanwhile = lambda: monkeypatch.setattr("brokerhub.kernel.idempotency._keep", refuse)
    assert api.post(address, {}, headers={"Idempotency-Key": "one"}).status_code == 201
    assert desk.done == 1
    assert "idempotency_answer_not_kept" in "".join(capfd.readouterr())
