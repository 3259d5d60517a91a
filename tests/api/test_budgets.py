"""How often the API may be asked, and how it says so."""

import pytest
from rest_framework.settings import api_settings
from rest_framework.test import APIClient

from brokerhub.kernel.models import User

pytestmark = pytest.mark.usefixtures("frame")
TOKENS = "/api/v1/test/tokens"


@pytest.fixture
def three_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_settings, "DEFAULT_THROTTLE_RATES", {"user": "3/minute", "anonymous": "3/minute"})


def budget(answer) -> tuple[int, int]:
    assert 1 <= int(answer["RateLimit-Reset"]) <= 60
    return int(answer["RateLimit-Limit"]), int(answer["RateLimit-Remaining"])


def test_every_answer_says_what_is_left(api):
    assert budget(api.get(TOKENS)) == (600, 599)
    assert budget(api.get(TOKENS)) == (600, 598)
    assert budget(api.get("/api/v1/test/failing/missing")) == (600, 597)


def test_beyond_the_budget_the_answer_is_429_with_the_time_to_wait(three_a_minute, api):
    assert [budget(api.get(TOKENS))[1] for _ in range(3)] == [2, 1, 0]
    refusal = api.get(TOKENS)
    assert refusal.status_code == 429
    assert budget(refusal) == (3, 0)
    assert refusal["Retry-After"] == refusal["RateLimit-Reset"]
    assert refusal.json()["code"] == "throttled"
    assert refusal.json()["detail"] == f"Too many requests. Try again in {refusal['Retry-After']} s."


def test_all_tokens_of_a_person_share_one_budget_and_nobody_elses(three_a_minute, caller, token_client):
    first, second = token_client(caller), token_client(caller)
    for client in (first, second, first):
        assert client.get(TOKENS).status_code == 200
    assert second.get(TOKENS).status_code == 429
    assert token_client(User.objects.create_user("james@example.com")).get(TOKENS).status_code == 200


def test_guessing_tokens_uses_up_a_budget_too(three_a_minute, db):
    guesser = APIClient(HTTP_AUTHORIZATION="Token hub_guess")
    assert [guesser.get(TOKENS).status_code for _ in range(4)] == [401, 401, 401, 429]


def test_a_forwarded_address_is_not_believed_without_a_proxy(three_a_minute, db):
    statuses = [APIClient().get(TOKENS, HTTP_X_FORWARDED_FOR=f"10.0.0.{n}").status_code for n in range(4)]
    assert statuses[-1] == 429


def test_a_refused_scope_is_counted(three_a_minute, caller, token_client):
    client = token_client(caller, "health:read")
    assert [client.get(TOKENS).status_code for _ in range(4)] == [403, 403, 403, 429]
