"""A POST that is sent again with its Idempotency-Key is answered again, not done again."""

from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile

from brokerhub.kernel.models import ApiToken, Scope, User
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


def test_a_request_still_being_worked_on_is_told_so(api, monkeypatch):
    answers: list[Any] = []
    add = cache.add

    def interrupted_add(name, *args, **words):  # the second request comes right after the first has taken the key
        taken = add(name, *args, **words)
        if taken and name.startswith("idempotency:") and not answers:
            answers.append(api.post(TOKENS, WANTED, **keyed("k-1")))
        return taken

    monkeypatch.setattr("brokerhub.kernel.idempotency.cache.add", interrupted_add)
    first = api.post(TOKENS, WANTED, **keyed("k-1"))
    assert (first.status_code, made()) == (201, 1)
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(409, "idempotency_key_in_use")]


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
