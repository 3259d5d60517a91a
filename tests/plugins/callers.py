"""Programs that call the API: a person, and clients that carry one of their tokens."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rest_framework.test import APIClient

    from brokerhub.kernel.models import Scope, User


@pytest.fixture
def caller(db: None) -> "User":
    from brokerhub.kernel.models import User

    return User.objects.create_user("caller@example.com", "correct horse battery")


@pytest.fixture
def token_client() -> "Callable[..., APIClient]":
    """Makes a client that carries a fresh token of `user` with `scopes` (all of them unless told)."""
    from rest_framework.test import APIClient

    from brokerhub.kernel.models import ApiToken, Scope

    def make(user: "User", *scopes: "Scope") -> APIClient:
        _, token = ApiToken.objects.create(user=user, scopes=[str(scope) for scope in scopes or Scope])
        return APIClient(HTTP_AUTHORIZATION=f"Token {token}", raise_request_exception=False)

    return make


@pytest.fixture
def api(caller: "User", token_client: "Callable[..., APIClient]") -> "APIClient":
    """The caller's program, which may do everything."""
    return token_client(caller)


@pytest.fixture
def frame(settings: "object") -> None:
    """The hub with the few addresses of tests/api/frame_urls.py beside its own."""
    settings.ROOT_URLCONF = "tests.api.frame_urls"  # type: ignore[attr-defined]


@pytest.fixture
def plenty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Budgets for more requests than a test can send."""
    from rest_framework.settings import api_settings

    rates = {"user": "1000000/minute", "anonymous": "1000000/minute"}
    monkeypatch.setattr(api_settings, "DEFAULT_THROTTLE_RATES", rates)
