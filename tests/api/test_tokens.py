"""Who may call the API, and what their token may do."""

from datetime import timedelta
from importlib import import_module
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.utils import timezone
from rest_framework.test import APIClient

from brokerhub.kernel.models import ApiToken, Scope

pytestmark = pytest.mark.usefixtures("frame")
TOKENS = "/api/v1/test/tokens"


def test_a_stranger_is_asked_for_a_token(db):
    answer = APIClient().get(TOKENS)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Token"
    assert answer.json()["code"] == "not_authenticated"


@pytest.mark.parametrize(
    "header", ["Token", "Token a b", "Token hub_unknown", "Token hub_\xff\xfe", "Token \x00", "Token " + "x" * 5000]
)
def test_a_token_that_is_none_is_refused(db, header):
    answer = APIClient(HTTP_AUTHORIZATION=header).get(TOKENS)
    assert answer.status_code == 401
    assert "hub_" not in answer.content.decode()


def test_a_token_opens_what_its_scopes_name(caller, token_client):
    reader = token_client(caller, Scope.PORTFOLIO_READ)
    assert reader.get(TOKENS).status_code == 200
    assert reader.head(TOKENS).status_code == 200
    refusal = reader.post(TOKENS, {"name": "x"})
    assert refusal.status_code == 403
    assert refusal.json()["code"] == "scope_missing"
    assert "sync:write" in refusal.json()["detail"]


def test_a_token_without_scopes_opens_nothing(caller, token_client):
    client = token_client(caller, Scope.HEALTH_READ)
    assert client.get(TOKENS).status_code == 403
    ApiToken.objects.update(scopes=[])
    assert client.get(TOKENS).status_code == 403


def test_the_browsers_session_has_every_scope_but_needs_the_csrf_token(caller):
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(caller)
    assert browser.get(TOKENS).status_code == 200
    refusal = browser.post(TOKENS, {"name": "x"})
    assert refusal.status_code == 403
    assert refusal.json()["code"] == "csrf_failed"


def test_an_expired_token_is_refused_and_kept_for_its_owner_to_see(caller, api):
    ApiToken.objects.update(expiry=timezone.now() - timedelta(seconds=1))
    answer = api.get(TOKENS)
    assert answer.status_code == 401
    assert answer.json()["code"] == "token_expired"
    assert ApiToken.objects.count() == 1


def test_a_revoked_token_is_refused(api):
    ApiToken.objects.all().delete()
    assert api.get(TOKENS).json()["code"] == "token_invalid"


def test_a_closed_account_takes_its_tokens_with_it(caller, api):
    caller.is_active = False
    caller.save()
    assert api.get(TOKENS).json()["code"] == "user_inactive"


def test_last_use_is_noted_at_most_once_a_minute(api, django_assert_num_queries):
    api.get(TOKENS)
    first = ApiToken.objects.get().last_used_at
    assert first is not None
    with django_assert_num_queries(2):  # the token with its user, then the list: no write
        api.get(TOKENS)
    assert ApiToken.objects.get().last_used_at == first
    ApiToken.objects.update(last_used_at=first - timedelta(minutes=2))
    api.get(TOKENS)
    assert ApiToken.objects.get().last_used_at >= first


def test_a_view_that_names_no_scope_is_a_mistake_nobody_can_overlook(api, caplog):
    assert api.get("/api/v1/test/unscoped").status_code == 500
    assert "Unscoped.required_scopes names no scope for GET" in caplog.text


def test_the_command_prints_a_token_that_works(caller):
    out = StringIO()
    call_command("api_token", "Caller@Example.com", "--scopes", "portfolio:read", "--days", "7", stdout=out)
    token = ApiToken.objects.get()
    assert token.scopes == ["portfolio:read"]
    assert timedelta(days=6) < token.expiry - timezone.now() <= timedelta(days=7)
    assert APIClient(HTTP_AUTHORIZATION=f"Token {out.getvalue().strip()}").get(TOKENS).status_code == 200


def test_the_command_names_a_user_it_does_not_know(db):
    with pytest.raises(CommandError, match=r"no user with the e-mail address nobody@example\.com"):
        call_command("api_token", "nobody@example.com")


def test_a_token_is_stored_as_a_digest_only(caller):
    row, token = ApiToken.objects.create(user=caller)
    stored = " ".join(str(value) for value in ApiToken.objects.values_list().get())
    assert token not in stored
    assert token not in f"{row} {row!r}"


def test_scopes_bear_the_names_that_programs_are_told():
    assert set(Scope.values) == {
        *("connections:read", "connections:write", "portfolio:read", "sync:write", "health:read"),
        *("compare:read", "compare:write", "webhooks:write"),
    }


def test_a_token_made_before_the_scopes_were_renamed_keeps_what_it_may(caller):
    old, _ = ApiToken.objects.create(user=caller, scopes=["comparison:read", "health:read", "comparison:write"])
    other, _ = ApiToken.objects.create(user=caller, scopes=["portfolio:read"])
    migration = import_module("brokerhub.kernel.migrations.0003_scopes_by_their_final_names")
    migration.forwards(apps, None)
    old.refresh_from_db()
    other.refresh_from_db()
    assert old.scopes == ["compare:read", "health:read", "compare:write"]
    assert other.scopes == ["portfolio:read"]
    migration.backwards(apps, None)
    old.refresh_from_db()
    assert old.scopes == ["comparison:read", "health:read", "comparison:write"]
