"""Reading settings' values: pure functions that say in a sentence what is wrong with one."""

import base64
import binascii
import os
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import parse_qs, urlsplit

import dj_database_url
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

KEY_BYTES = 32
# Values that are secret or hold a password. (OIDC_SIGNING_KEY and IBKR's keys may be paths as they are.)
FROM_FILES = (
    *("SECRET_KEY", "CREDENTIALS_KEYS", "DATABASE_URL", "REDIS_URL", "EMAIL_URL", "METRICS_TOKEN"),
    *("SCHWAB_APP_SECRET", "ALPACA_CLIENT_SECRET"),
)


class ConfigurationError(Exception):
    """A setting cannot be used; the text is a sentence for whoever starts the hub, and holds no secret."""


def read_secret_files(environment: MutableMapping[str, str]) -> None:
    """`NAME_FILE` names the file with the value of NAME, as systemd, Docker and vaults' agents hand secrets over.

    The file wins over a value. Raises ConfigurationError.
    """
    for name in FROM_FILES:
        path = environment.get(f"{name}_FILE", "")
        if not path:
            continue
        try:
            value = Path(path).read_text().strip()
        except (OSError, ValueError):
            value = ""
        if not value:
            raise ConfigurationError(f"{name}_FILE has to name a file that the hub may read and that is not empty.")
        environment[name] = value


def credentials_keys(entries: Sequence[str]) -> dict[str, bytes]:
    """`id:base64` entries into {id: 32 bytes}, order kept: the first key writes, all of them read."""
    keys: dict[str, bytes] = {}
    for entry in entries:
        key_id, _, encoded = entry.strip().partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            key = b""
        if not key_id or not key_id.isascii() or len(key_id) > 16 or len(key) != KEY_BYTES:
            raise ConfigurationError(
                "CREDENTIALS_KEYS must be a comma-separated list of id:key, each key 32 random bytes in base64 "
                "(openssl rand -base64 32)."
            )
        if key_id in keys:
            raise ConfigurationError(f"CREDENTIALS_KEYS names the key id {key_id!r} twice.")
        keys[key_id] = key
    if not keys:
        raise ConfigurationError("CREDENTIALS_KEYS holds no key.")
    return keys


def signing_key(given: str, *, kept_in: Path) -> str:
    """PEM text of the RSA key that signs ID tokens: `given`, or in the file it names. With "" one is made and kept.

    All processes of an installation that start together end up with the same key.
    """
    if not given:
        given = str(_made_once(kept_in))
    try:
        pem = given.replace("\\n", "\n") if "PRIVATE KEY" in given else Path(given).read_text()
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < 2048:
        raise ConfigurationError(
            "OIDC_SIGNING_KEY must be an RSA private key of 2048 bits or more in PEM, without a password, or the path "
            "of a file with it (openssl genrsa -out oidc.pem 2048)."
        )
    return pem


def _made_once(path: Path) -> Path:
    if path.exists():
        return path
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent) as draft:  # made with mode 0600
        draft.write(pem)
        draft.flush()
        with suppress(FileExistsError):  # another process was faster: its key is the one
            os.link(draft.name, path)
    return path


def is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}


def database(url: str) -> dict[str, Any]:
    """Django's entry for a PostgreSQL URL; there is no other engine. Giving up on a silent host takes 10 s."""
    entry: dict[str, Any]
    try:
        entry = dict(dj_database_url.parse(url, conn_max_age=60, conn_health_checks=True))
    except ValueError:
        entry = {}
    if entry.get("ENGINE") != "django.db.backends.postgresql":
        raise ConfigurationError("DATABASE_URL must look like postgresql://USER:PASSWORD@HOST:5432/NAME.")
    options = {"application_name": "brokerhub", "connect_timeout": 10}
    return entry | {"OPTIONS": options | entry.get("OPTIONS", {})}


def redis_urls(url: str) -> tuple[str, str, str]:
    """One Redis URL in the three spellings our libraries want: redis-py (cache), Celery, `limits`."""
    parts = urlsplit(url)
    if parts.scheme in {"redis", "rediss"} and parts.hostname:
        return url, url, url
    if parts.scheme == "unix" and parts.path:
        database = parse_qs(parts.query).get("db", ["0"])[0]
        celery = f"redis+socket://{parts.path}?virtual_host={database}"
        return url, celery, f"redis+unix://{parts.path}?db={database}"
    raise ConfigurationError("REDIS_URL must look like redis://HOST:6379/0, rediss://... or unix:///PATH?db=0.")


def check_schwab_callback(url: str) -> None:
    """Schwab registers https callbacks only, refuses the name localhost and a trailing slash, and compares exactly."""
    parts = urlsplit(url)
    if (
        parts.scheme != "https"
        or parts.hostname in {None, "localhost"}
        or url.endswith("/")
        or not url.startswith("https")
    ):
        raise ConfigurationError(
            "SCHWAB_CALLBACK_URL must start with https://, must not use the name localhost (127.0.0.1 is fine), must "
            "not end with a slash, and must be the very text registered for the app at developer.schwab.com."
        )
