"""Secrets stay where they belong: searched for in all the hub says or keeps after sign-ins, syncs and failures."""

import base64
from urllib.parse import parse_qs, urlsplit

import pytest
from django.apps import apps
from django.conf import settings as hub
from django.contrib.admin import site
from django.db import connection as database
from django.urls import reverse

from brokerhub.kernel.models import User
from connections import connection_manager
from connections.brokers.base import BrokerError
from connections.brokers.records import AuthMethod, Broker
from tests.journey.books import sync

PAGES = ["/", "/connections/", "/portfolio/", "/portfolio/transactions/", "/sync/", "/health/", "/settings/"]
PAGES += ["/compare/execution-quality/", "/compare/ratings/", "/compare/", "/compare/features/", "/compare/mine/"]
PAGES += ["/compare/match/"]
ENDPOINTS = [
    "brokerage/connections",
    "brokerage/sync/status",
    "brokerage/transactions",
    "brokers/accounts",
    "brokers/positions",
    "brokers/balances",
    "broker/health",
    "brokerage/execution-quality",
    "brokerage/compare?mine=1",
    "brokerage/fees/ibkr",
]


@pytest.fixture
def canaries(person, sandbox, capfd):
    """Everything secret that came into being while a person signed in, synced, failed and signed in again."""
    secrets = {hub.SCHWAB_APP_SECRET, hub.SECRET_KEY}
    secrets |= {base64.b64encode(key).decode() for key in hub.CREDENTIALS_KEYS.values()}
    for _ in range(2):
        connection = connection_manager.create_connection(
            user=person, broker=Broker.SCHWAB, method=AuthMethod.SCHWAB_OAUTH
        )
        url = connection_manager.start_oauth(connection=connection)
        back = parse_qs(urlsplit(sandbox.sign_in(url, "james")).query)
        secrets |= {back["state"][0], back["code"][0], back["code"][0].rstrip("@")}
        connection = connection_manager.complete_oauth(
            user=person, answer={name: values[0] for name, values in back.items()}
        )
        secrets |= set(connection.read_credentials().values())
        connection_manager.refresh_credentials(connection)
        secrets |= set(connection.read_credentials().values())
        sync(connection)
        sandbox.end_tokens("james", expire=True, revoke=True)
        with pytest.raises(BrokerError):
            connection_manager.refresh_credentials(connection)
    assert len(secrets) >= 10
    return secrets


def found(secrets, text):
    return {secret[:6] + "..." for secret in secrets if secret in text}


def test_no_log_line_holds_a_secret(canaries, capfd):
    said = "".join(capfd.readouterr())
    assert "broker_call" in said
    assert found(canaries, said) == set()


def test_no_page_and_no_answer_holds_a_secret(canaries, web, person, token_client):
    client = token_client(person)
    connection = person.connections.get()
    said = [web.get(page).content.decode() for page in [*PAGES, reverse("connections:detail", args=[connection.pk])]]
    said += [client.get(f"/api/v1/{endpoint}").content.decode() for endpoint in ENDPOINTS]
    assert all(said)
    assert found(canaries, "".join(said)) == set()
    assert "70355128" not in "".join(said), "account numbers are masked"


def test_no_page_of_the_admin_holds_a_secret(canaries, sign_up):
    admin = sign_up(User.objects.create_superuser("root@example.com", "correct horse battery"))
    said = []
    for model in apps.get_models():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        if model._meta.app_label not in {"connections", "sync", "comparison", "aggregation", "health", "kernel"}:
            continue
        if model not in site._registry:
            continue
        said.append(admin.get(reverse(f"{name}_changelist")).content.decode())
        for row in model._default_manager.all()[:2]:
            said.append(admin.get(reverse(f"{name}_change", args=[row.pk])).content.decode())
    assert len(said) > 10
    assert found(canaries, "".join(said)) == set()


def test_no_table_holds_a_secret_in_the_clear(canaries):
    with database.cursor() as cursor:
        for table in database.introspection.table_names(cursor):
            cursor.execute(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM \"{table}\" t")
            [text] = cursor.fetchone()
            assert (table, found(canaries, text)) == (table, set())


def test_redis_holds_no_secret(canaries, redis_client):
    values = [redis_client.dump(key) or b"" for key in redis_client.scan_iter()]
    assert found(canaries, b"".join(values).decode("latin-1")) == set()
