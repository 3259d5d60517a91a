"""PostgreSQL and Redis of a test's own, which it may stop, kill, empty and start again while the hub works on them."""

import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import redis
import requests

from brokerhub import embedded
from brokerhub.embedded_servers import Postgres, Redis

if TYPE_CHECKING:
    from brokerhub.kernel.models import User

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60  # seconds
TEMPLATE, DATABASE = "template_of_drills", "drill"


@dataclass(frozen=True)
class OwnServers:
    folder: Path

    @property
    def database_url(self) -> str:
        return Postgres(self.folder).url_of(DATABASE)

    @property
    def redis_url(self) -> str:
        return Redis(self.folder).url

    @property
    def environment(self) -> dict[str, str]:
        """For processes of the hub that work on these servers."""
        own = {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url, "LOG_LEVEL": "INFO"}
        return os.environ | own | {"SYNC_LEASE_SECONDS": "2"}

    def start(self) -> None:
        """Whichever does not run; one that was killed recovers from its log first."""
        embedded.database_url(self.folder)
        embedded.redis_url(self.folder)

    def stop_postgres(self) -> None:
        """As a restart for an update does: who is connected is cut off. The test itself has left before."""
        _leave()
        Postgres(self.folder).stop()

    def kill_postgres(self) -> None:
        _leave()
        pid = int((self.folder / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])
        os.kill(pid, signal.SIGKILL)

    def kill_redis(self, *, lose_data: bool = False) -> None:
        with redis.Redis.from_url(self.redis_url) as client:
            pid = client.info("server")["process_id"]
        os.kill(pid, signal.SIGKILL)
        _ended(pid)
        if lose_data:
            shutil.rmtree(self.folder / "redis" / "appendonlydir")

    def renew(self) -> None:
        """Both servers as new: the tables empty, and nothing in Redis."""
        self.start()
        with psycopg.connect(Postgres(self.folder).url_of("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {DATABASE} TEMPLATE {TEMPLATE}")
        with redis.Redis.from_url(self.redis_url) as client:
            client.flushall()


def _leave() -> None:
    from django.db import connection

    connection.close()


def _ended(pid: int) -> None:
    """Wait for the end of a process that is not ours to wait for."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([descriptor], [], [], PATIENCE)
    finally:
        os.close(descriptor)


@pytest.fixture(scope="session")
def _servers_of_drills(django_db_setup: None, django_db_blocker: Any) -> Iterator[OwnServers]:
    from django.db import connection

    folder = Path(tempfile.mkdtemp(prefix="brokerhub-drill-")).resolve()
    folder.chmod(0o711)
    try:
        base = embedded.database_url(folder)
        with psycopg.connect(base, autocommit=True) as own:
            own.execute("ALTER SYSTEM SET fsync = off")  # a killed process loses nothing by it; a power cut would
            own.execute("SELECT pg_reload_conf()")
            own.execute(f"CREATE DATABASE {TEMPLATE}")
        with django_db_blocker.unblock():
            like = os.environ["DATABASE_URL"].replace("/brokerhub?", f"/{connection.settings_dict['NAME']}?")
        programs = Postgres(folder).programs
        dump = subprocess.run(
            [programs / "pg_dump", "--no-owner", f"--dbname={like}"], stdout=subprocess.PIPE, check=True
        )
        target = f"--dbname={Postgres(folder).url_of(TEMPLATE)}"
        load: list[str | Path] = [programs / "psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", target]
        subprocess.run(load, input=dump.stdout, stdout=subprocess.DEVNULL, check=True)
        yield OwnServers(folder)
    finally:
        embedded.stop(folder)
        shutil.rmtree(folder)


@pytest.fixture
def own_servers(
    _servers_of_drills: OwnServers, transactional_db: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[OwnServers]:
    """Renewed for this test. The test's own queries and its services' go there, too."""
    from django.core.cache import caches
    from django.db import connection

    from brokerhub.kernel.config import database, redis_urls

    servers = _servers_of_drills
    servers.renew()
    usual = dict(connection.settings_dict)
    connection.close()
    connection.settings_dict.update(database(servers.database_url))
    cache_url = redis_urls(servers.redis_url)[0]
    settings.CACHES = {name: {**entry, "LOCATION": cache_url} for name, entry in settings.CACHES.items()}
    caches.close_all()
    try:
        yield servers
    finally:
        connection.close()
        connection.settings_dict.clear()
        connection.settings_dict.update(usual)
        servers.start()


@dataclass
class Web:
    """A web process as a browser sees it."""

    url: str
    browser: requests.Session = field(default_factory=requests.Session)
    csrf: str = ""

    def enter(self, user: "User") -> None:
        """Signed in from now on."""
        from django.conf import settings
        from django.test import Client

        client = Client()
        client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
        self.browser.cookies.set(settings.SESSION_COOKIE_NAME, client.cookies[settings.SESSION_COOKIE_NAME].value)

    def get(self, path: str, **headers: str) -> requests.Response:
        url = f"{self.url}{path}"
        return self.browser.get(url, headers=headers, timeout=PATIENCE, allow_redirects=False)

    def post(self, path: str, data: dict[str, str]) -> requests.Response:
        """With the CSRF token of the form that was read last."""
        data = {**data, "csrfmiddlewaretoken": self.csrf}
        return self.browser.post(f"{self.url}{path}", data=data, timeout=PATIENCE, allow_redirects=False)

    def post_json(self, path: str, body: Any, **headers: str) -> requests.Response:
        headers = {"X-CSRFToken": self.csrf, **headers}
        return self.browser.post(f"{self.url}{path}", json=body, headers=headers, timeout=PATIENCE)

    def read_form(self, path: str) -> None:
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.get(path).text)
        assert found, f"{path} has no form"
        self.csrf = found.group(1)


@pytest.fixture
def own_web(own_servers: OwnServers) -> Iterator[Web]:
    """Gunicorn as the Procfile starts it, with one process, on servers of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        options = ("--worker-class=gthread", "--threads=4", "--log-level=warning", "--no-control-socket")
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "brokerhub.wsgi", f"--bind=fd://{listener.fileno()}", *options],
            cwd=ROOT,
            env=own_servers.environment | {"PORT": str(port)},
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
        try:  # the socket listens already; the first answer comes when the process is up
            assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=PATIENCE).ok
            yield Web(f"http://127.0.0.1:{port}")
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(PATIENCE)
