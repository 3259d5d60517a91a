"""Pages and API while PostgreSQL is restarted and while Redis is gone: words or the page, and then the page again."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import requests

from brokerhub.kernel.models import User
from connections.models import Connection
from sync.models import RunState, SyncRun
from tests.aggregation.factories import a_connection
from tests.plugins.own_servers import OwnServers, Web

SYNC = "/api/v1/brokerage/sync"
PAGES = (
    *("/", "/connections/", "/portfolio/", "/portfolio/transactions/", "/sync/", "/health/", "/health/widget"),
    *("/compare/", "/settings/", "/settings/tokens/"),
)
ANSWERS = ("/api/v1/brokers/accounts", "/api/v1/brokerage/connections", "/api/v1/broker/health")
PASSWORD = "correct horse battery"


def a_person() -> User:
    user = User.objects.create_user("ada@example.com", PASSWORD, name="Ada")
    a_connection(user)
    return user


def check_says_it_is_away(answer: requests.Response) -> None:
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "cannot be reached right now" in answer.text
    assert "Traceback" not in answer.text


def until_somebody_waits(holder: psycopg.Connection) -> None:
    while holder.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (0,):
        continue


def test_a_restart_of_postgres_is_told_in_words_and_over_with_it(own_servers: OwnServers, own_web: Web) -> None:
    own_web.enter(a_person())
    assert own_web.get("/connections/").status_code == 200
    with closing(psycopg.connect(own_servers.database_url)) as holder, ThreadPoolExecutor(1) as other:
        holder.execute(f"LOCK TABLE {Connection._meta.db_table} IN ACCESS EXCLUSIVE MODE")
        in_the_middle = other.submit(own_web.get, "/connections/")
        until_somebody_waits(holder)
        own_servers.stop_postgres()
    check_says_it_is_away(in_the_middle.result())
    check_says_it_is_away(own_web.get("/"))
    check_says_it_is_away(own_web.get("/health/widget", **{"HX-Request": "true"}))
    program = own_web.get("/api/v1/brokers/accounts")
    check_says_it_is_away(program)
    assert program.json()["code"] == "service_unavailable"
    watcher = Web(own_web.url)
    assert watcher.get("/healthz").status_code == 200
    assert watcher.get("/readyz").json()["database"] == "failed"
    own_servers.start()
    for page in (*PAGES, *ANSWERS):
        assert own_web.get(page).status_code == 200, page
    assert watcher.get("/readyz").json()["database"] == "ok"


def signs_in(web: Web) -> requests.Response:
    web.read_form("/accounts/login/")
    return web.post("/accounts/login/", {"login": "ada@example.com", "password": PASSWORD})


def asks_for_a_sync(web: Web, **headers: str) -> requests.Response:
    web.read_form("/settings/")
    return web.post_json(SYNC, {}, **headers)


def test_without_redis_pages_stay_up_and_what_must_be_counted_waits(own_servers: OwnServers, own_web: Web) -> None:
    user, other, third = a_person(), Web(own_web.url), Web(own_web.url)
    assert signs_in(other).status_code == 302
    own_web.enter(User.objects.get(pk=user.pk))
    own_servers.kill_redis(lose_data=True)
    for page in (*PAGES, *ANSWERS):
        assert own_web.get(page).status_code == 200, page
    assert "RateLimit-Limit" not in own_web.get(ANSWERS[0]).headers, "nothing is counted"
    check_says_it_is_away(signs_in(third))
    once = {"Idempotency-Key": "pay-attention"}
    asked = asks_for_a_sync(own_web, **once)
    assert asked.status_code == 202
    assert SyncRun.objects.get().state == RunState.QUEUED
    ready = own_web.get("/readyz")
    assert (ready.status_code, ready.json()["redis"], ready.json()["database"]) == (503, "failed", "ok")
    other.read_form("/accounts/logout/")
    assert other.post("/accounts/logout/", {}).status_code == 302
    own_servers.start()
    assert other.get("/").status_code == 302, "who signed out meanwhile stays signed out"
    for page in (*PAGES, *ANSWERS):
        assert own_web.get(page).status_code == 200, f"{page}: the loss has signed nobody out"
    assert signs_in(third).status_code == 302
    again = asks_for_a_sync(own_web, **once)
    assert (again.headers["Idempotency-Replayed"], again.json()) == ("true", asked.json()), "its key is not forgotten"
