"""A POST that is sent again with its Idempotency-Key is answered again, not done again."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from brokerhub.kernel.models import ApiToken, KeyedRequest, Scope, User
from brokerhub.kernel.tasks import remove_old_keys
from sync.models import SyncRun

pytestmark = pytest.mark.usefixtures("frame")
TOKENS = "/api/v1/test/tokens"  # each POST adds a row, even with the same name
WANTED = {"name": "Nightly"}


def keyed(key: str) -> dict[str, dict[str, str]]:
    return {"headers": {"Idempotency-Key": key}}


def made() -> int:
    return len(ApiToken.objects.filter(name__in=["Nightly", "Weekly"]))


def test_the_same_request_is_done_once_and_answered_alike(api):
    first, again = (api.post(TOKENS, WANTED, **keyed("k-1")) for _ in range(2))
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert again["RateLimit-Remaining"] == "598"
    assert made() == 1


def test_without_a_key_or_with_another_each_request_is_done(api):
    for extra in ({}, {}, keyed("k-1"), keyed("k-2")):
        assert api.post(TOKENS, WANTED, **extra).status_code == 201
    assert made() == 4


def test_a_key_for_another_request_is_refused(api):
    api.post(TOKENS, WANTED, **keyed("k-1"))
    other = api.post(TOKENS, {"name": "Weekly"}, **keyed("k-1"))
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert made() == 1


def test_what_was_refused_may_be_mended_under_the_same_key(api):
    assert api.post(TOKENS, {"name": ""}, **keyed("k-1")).status_code == 400
    assert api.post(TOKENS, WANTED, **keyed("k-1")).status_code == 201


def test_a_key_belongs_to_one_person_and_one_address(api, token_client):
    other = token_client(User.objects.create_user("james@example.com"))
    assert api.post(TOKENS, WANTED, **keyed("k-1")).status_code == 201
    assert "Idempotency-Replayed" not in other.post(TOKENS, WANTED, **keyed("k-1"))
    assert api.post("/api/v1/brokerage/sync", {}, **keyed("k-1")).status_code == 202
    assert made() == 2


def test_a_token_that_may_not_do_it_gets_no_kept_answer(api, caller, token_client):
    api.post(TOKENS, WANTED, **keyed("k-1"))
    assert token_client(caller, Scope.PORTFOLIO_READ).post(TOKENS, WANTED, **keyed("k-1")).status_code == 403


def interrupted(monkeypatch, meanwhile: Callable[[], Any]) -> None:
    """What comes while the first request is being worked on."""
    make, waiting = ApiToken.objects.create, [meanwhile]

    def slow(**fields: Any) -> Any:
        if waiting:
            waiting.pop()()
        return make(**fields)

    monkeypatch.setattr(ApiToken.objects, "create", slow)


def test_a_request_still_being_worked_on_is_told_so(api, monkeypatch):
    answers: list[Any] = []
    interrupted(monkeypatch, lambda: answers.append(api.post(TOKENS, WANTED, **keyed("k-1"))))
    first = api.post(TOKENS, WANTED, **keyed("k-1"))
    assert (first.status_code, made()) == (201, 1)
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(409, "idempotency_key_in_use")]


def test_what_was_cut_off_is_not_done_again_under_its_key(api, monkeypatch):
    """Its answer was never written down: nobody knows how far it came."""

    def cut_off() -> None:
        KeyedRequest.objects.update(begun_at=timezone.now() - timedelta(minutes=3))

    interrupted(monkeypatch, cut_off)
    assert api.post(TOKENS, WANTED, **keyed("k-1")).status_code == 201
    again = api.post(TOKENS, WANTED, **keyed("k-1"))
    assert (again.status_code, again.json()["code"]) == (409, "idempotency_outcome_unknown")
    assert made() == 1
    assert api.post(TOKENS, WANTED, **keyed("k-2")).status_code == 201


def test_redis_may_lose_all_it_has_and_nothing_is_done_twice(api, caller, redis_client):
    """Neither after the answer nor while it is being worked on; a secret that is shown once is shown the same."""
    hook = {"url": "https://hooks.example.com/"}
    first = api.post("/api/v1/webhooks", hook, format="json", **keyed("k-1"))
    api.post(TOKENS, WANTED, **keyed("k-1"))
    redis_client.flushdb()
    again = api.post("/api/v1/webhooks", hook, format="json", **keyed("k-1"))
    assert again.json() == first.json()
    assert again["Idempotency-Replayed"] == "true"
    assert api.post(TOKENS, WANTED, **keyed("k-1")).status_code == 201
    assert (caller.webhooks.count(), made()) == (1, 1)


def test_redis_lost_in_the_middle_changes_nothing(api, monkeypatch, redis_client):
    answers: list[Any] = []

    def lost() -> None:
        redis_client.flushdb()
        answers.append(api.post(TOKENS, WANTED, **keyed("k-1")))

    interrupted(monkeypatch, lost)
    assert api.post(TOKENS, WANTED, **keyed("k-1")).status_code == 201
    redis_client.flushdb()
    assert api.post(TOKENS, WANTED, **keyed("k-1"))["Idempotency-Replayed"] == "true"
    assert [answer.json()["code"] for answer in answers] == ["idempotency_key_in_use"]
    assert made() == 1


def test_a_key_is_kept_for_a_day_and_then_removed(api):
    api.post(TOKENS, WANTED, **keyed("k-1"))
    remove_old_keys()
    assert api.post(TOKENS, WANTED, **keyed("k-1"))["Idempotency-Replayed"] == "true"
    over = timezone.now() + timedelta(hours=24, seconds=1)
    [kept] = KeyedRequest.objects.all()
    assert kept.expires_at < over
    KeyedRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert "Idempotency-Replayed" not in api.post(TOKENS, WANTED, **keyed("k-1"))
    KeyedRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    remove_old_keys()
    assert not KeyedRequest.objects.exists()


def test_an_answer_that_no_key_opens_any_more_is_not_guessed(api, settings):
    api.post(TOKENS, WANTED, **keyed("k-1"))
    KeyedRequest.objects.update(sealed_answer=b"\0" * 40)
    again = api.post(TOKENS, WANTED, **keyed("k-1"))
    assert (again.status_code, again.json()["code"]) == (409, "idempotency_outcome_unknown")
    assert made() == 1


def test_what_a_key_keeps_shows_nothing_and_goes_with_its_person(api, caller):
    secret = api.post("/api/v1/webhooks", {"url": "https://x.example.com/"}, format="json", **keyed("k-1")).json()[
        "secret"
    ]
    [row] = KeyedRequest.objects.all()
    assert secret.encode() not in bytes(row.sealed_answer)
    assert "k-1" not in str(vars(row))
    caller.delete()
    assert not KeyedRequest.objects.exists()


def test_an_uploaded_file_is_part_of_the_request(api):
    def upload(content: bytes):
        data = {"file": SimpleUploadedFile("x.csv", content), "account_name": "Old", "format": "schwab_brokerage"}
        return api.post("/api/v1/brokerage/import", data, format="multipart", **keyed("k-1"))

    content = b'"Date","Action","Symbol","Description","Quantity","Price","Fees & Comm","Amount"\n'
    content += b'"01/02/2026","Bank Interest","","BANK INT","","","","$0.01"\n'
    first, again = upload(content), upload(content)
    assert (first.status_code, again.status_code) == (202, 202), first.content
    assert first.json()["id"] == again.json()["id"]
    assert again["Location"] == first["Location"]
    assert SyncRun.objects.count() == 1
    assert upload(content + b"\n").status_code == 422


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 129, "schl\xfcssel"])
def test_a_key_that_is_none_is_refused(api, key):
    answer = api.post(TOKENS, WANTED, **keyed(key))
    assert (answer.status_code, answer.json()["attr"]) == (400, "Idempotency-Key")
