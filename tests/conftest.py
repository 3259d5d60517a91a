"""A run of the tests has servers, folder and keys of its own, whatever the caller's environment says.

Each module in tests/plugins gives fixtures. It is imported before Django is set up, so models are imported inside them.
"""

import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import django
import psycopg
import pytest
import redis
from django.conf import settings

from brokerhub import embedded

pytest_plugins = [f"tests.plugins.{path.stem}" for path in (Path(__file__).parent / "plugins").glob("[a-z]*.py")]

SETTINGS = Path(embedded.__file__).with_name("settings.py")
# What a user may set for the hub must not reach a test.
HUB_VARIABLES = {
    "SANDBOX_PORT",
    "SANDBOX_ALPACA_CALLBACKS",
    "SANDBOX_IBKR_CALLBACKS",
    "SANDBOX_IBKR_KEYS",
    "SANDBOX_SCHWAB_CALLBACKS",
    *re.findall(r'env\.\w+\("([A-Z_]+)"', SETTINGS.read_text()),
}
REDIS_DATABASES = 15  # beside number 0, which nobody uses


def pytest_configure(config: pytest.Config) -> None:
    """Before pytest-django looks for settings. A worker of xdist inherits the environment of the first process."""
    if settings.configured:
        raise pytest.UsageError("Unset DJANGO_SETTINGS_MODULE: the tests choose their settings and servers themselves.")
    if "PYTEST_XDIST_WORKER" not in os.environ:
        folder = Path(tempfile.mkdtemp(prefix="brokerhub-test-")).resolve()
        folder.chmod(0o711)
        (folder / "static").mkdir()  # WhiteNoise warns where it is missing
        config.add_cleanup(lambda: _remove(folder))
        _set_environment(folder)
        _spare_the_disk(os.environ["DATABASE_URL"])
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    os.environ["REDIS_URL"] = os.environ["REDIS_URL"].partition("?")[0] + f"?db={1 + worker % REDIS_DATABASES}"
    os.environ["SANDBOX_PORT"] = str(_free_port())
    os.environ["BROKERS_SANDBOX_URL"] = f"http://127.0.0.1:{os.environ['SANDBOX_PORT']}"
    os.environ["DJANGO_SETTINGS_MODULE"] = "brokerhub.settings"
    django.setup()
    del os.environ["DJANGO_SETTINGS_MODULE"]  # else pytest-django reads the settings in xdist's workers before we do


def _remove(folder: Path) -> None:
    embedded.stop(folder)
    shutil.rmtree(folder)


def _set_environment(folder: Path) -> None:
    for name in HUB_VARIABLES:
        os.environ.pop(name, None)
    os.environ |= {
        "MODE": "development",
        "SECRET_KEY": "for-tests-only-" + "0" * 50,
        "CREDENTIALS_KEYS": "test:dGVzdC1rZXktdGVzdC1rZXktdGVzdC1rZXktdGVzdCE=",
        "VAR_DIR": str(folder),
        "DATABASE_URL": embedded.database_url(folder),
        "REDIS_URL": embedded.redis_url(folder),
        # The apps that the sandbox knows.
        "SCHWAB_APP_KEY": "sandbox0schwab0app0key0000000001",
        "SCHWAB_APP_SECRET": "sandboxsecret001",
        "ALPACA_CLIENT_ID": "sandbox0alpaca0client000000000001",
        "ALPACA_CLIENT_SECRET": "sandboxalpacasecret01",
        # Playwright's loop runs in the tests' thread, which Django would take for asynchronous code.
        "DJANGO_ALLOW_ASYNC_UNSAFE": "true",
    }


def _spare_the_disk(database_url: str) -> None:
    """Nothing of a test run has to survive a power cut."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("ALTER SYSTEM SET full_page_writes = off")
        connection.execute("SELECT pg_reload_conf()")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> None:
    """One round instead of a million. The format stays, so that another process can check the same hash."""
    from django.contrib.auth.hashers import PBKDF2PasswordHasher

    PBKDF2PasswordHasher.iterations = 1


@pytest.fixture(scope="session")
def redis_client() -> Iterator[redis.Redis]:
    """The Redis database of this worker."""
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        yield client


@pytest.fixture(autouse=True)
def empty_redis(redis_client: redis.Redis) -> None:
    redis_client.flushdb()


@pytest.fixture
def hub_environment(transactional_db: None) -> dict[str, str]:
    """Environment for a process of the hub (worker, command) that works on this test's own database and Redis."""
    from django.db import connection

    base, _, query = os.environ["DATABASE_URL"].partition("?")
    database = connection.settings_dict["NAME"]
    return os.environ | {"DATABASE_URL": f"{base.rpartition('/')[0]}/{database}?{query}"}
