"""Is it alive, is it ready: what a load balancer and a person on call ask."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connections
from django.test import Client
from django.utils import timezone

from brokerhub.kernel.tasks import HEARTBEAT_KEY, heartbeat

NOBODY = "redis://127.0.0.1:1/0"  # a port where nothing listens


def readiness() -> tuple[int, dict[str, str]]:
    answer = Client().get("/readyz")
    assert "no-store" in answer["Cache-Control"]
    return answer.status_code, answer.json()


def test_the_process_is_alive_without_asking_the_database():
    answer = Client().get("/healthz")  # no database fixture: a query would raise
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["/livez", "/healthz", "/readyz"])
def test_a_load_balancer_may_ask_by_an_address_of_its_network_and_nobody_else(db, settings, path):
    settings.ALLOWED_HOSTS = ["hub.example.com"]
    settings.BASE_URL = "https://hub.example.com"
    assert Client().get(path, headers={"host": "10.0.0.7:8000"}).status_code in {200, 503}
    assert Client().get("/accounts/login/", headers={"host": "10.0.0.7:8000"}).status_code == 400


def test_everything_works_once_a_worker_has_beaten(db):
    heartbeat()
    assert readiness() == (200, {"status": "ok", "database": "ok", "redis": "ok", "worker": "ok"})


def test_without_a_worker_the_hub_is_not_ready(db):
    assert readiness() == (503, {"status": "failed", "database": "ok", "redis": "ok", "worker": "failed"})


def test_a_worker_that_stopped_a_minute_ago_is_told(db):
    cache.set(HEARTBEAT_KEY, (timezone.now() - timedelta(seconds=61)).isoformat())
    assert readiness()[1]["worker"] == "failed"


def test_a_lost_redis_is_told_without_its_address(db, settings):
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": NOBODY}}
    status, parts = readiness()
    assert (status, parts["database"], parts["redis"], parts["worker"]) == (503, "ok", "failed", "failed")
    assert "127.0.0.1" not in str(parts)


def test_a_lost_database_is_told_without_its_address(transactional_db, monkeypatch):
    heartbeat()
    hub = connections["default"]
    hub.close()
    with monkeypatch.context() as lost:
        lost.setitem(hub.settings_dict, "NAME", "a_database_that_is_not_there")
        status, parts = readiness()
    assert (status, parts) == (503, {"status": "failed", "database": "failed", "redis": "ok", "worker": "ok"})


@pytest.mark.parametrize("address", ["/healthz", "/readyz"])
def test_only_reading_is_possible(db, address):
    assert Client().post(address).status_code == 405
