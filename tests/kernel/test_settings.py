"""The start: what is configured wrong stops it with one sentence, and no secret is repeated in it."""

import os
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

SECRET = "s3cr3t-value-of-the-operator-0123456789-0123456789-0123456789"
KEY = "live:bGl2ZS1rZXktbGl2ZS1rZXktbGl2ZS1rZXktbGl2ZSE="


def an_rsa_key(bits: int) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


PRODUCTION = {
    "MODE": "production",
    "SECRET_KEY": SECRET,
    "CREDENTIALS_KEYS": KEY,
    "BASE_URL": "https://hub.example.com",
    "ALLOWED_HOSTS": "hub.example.com",
    "BROKERS_SANDBOX_URL": "",
    "OIDC_SIGNING_KEY": an_rsa_key(2048),
}


def _outside() -> dict[str, str]:
    """The environment without what only the browser tests need."""
    return {name: value for name, value in os.environ.items() if name != "DJANGO_ALLOW_ASYNC_UNSAFE"}


def start(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        env=_outside() | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def load(**environment: str) -> subprocess.CompletedProcess[str]:
    return start("-c", "import brokerhub.settings", **environment)


def test_secrets_may_be_in_files_which_win(tmp_path):
    (tmp_path / "key").write_text(f"{PRODUCTION['SECRET_KEY']}\n")
    (tmp_path / "keys").write_text(KEY)
    show = "import brokerhub.settings as s; print(s.SECRET_KEY, list(s.CREDENTIALS_KEYS))"
    files = {"SECRET_KEY_FILE": str(tmp_path / "key"), "CREDENTIALS_KEYS_FILE": str(tmp_path / "keys")}
    done = start("-c", show, **PRODUCTION | {"SECRET_KEY": "a"} | files)
    assert done.stdout.split() == [PRODUCTION["SECRET_KEY"], f"['{KEY.partition(':')[0]}']"], done.stderr


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"MODE": "staging"}, "MODE"),
        ({"PORT": "eighty"}, "PORT"),
        ({"SECRET_KEY_FILE": "/nowhere/at/all"}, "SECRET_KEY_FILE"),
        ({"CREDENTIALS_KEYS_FILE": os.devnull}, "CREDENTIALS_KEYS_FILE"),
        ({"DEBUG": "perhaps"}, "DEBUG"),
        ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL"),
        ({"DATABASE_URL": f"mysql://hub:{SECRET}@db.example/hub"}, "DATABASE_URL"),
        ({"DATABASE_URL": f"nonsense-{SECRET}"}, "DATABASE_URL"),
        ({"REDIS_URL": f"http://:{SECRET}@cache.example"}, "REDIS_URL"),
        ({"CREDENTIALS_KEYS": f"live:{SECRET}"}, "CREDENTIALS_KEYS"),
        ({"CREDENTIALS_KEYS": f"{KEY},{KEY}"}, "CREDENTIALS_KEYS"),
        ({"CREDENTIALS_KEYS": ""}, "CREDENTIALS_KEYS"),
        ({"EMAIL_URL": f"pigeon://{SECRET}"}, "EMAIL_URL"),
        ({"BROKERS_SANDBOX_URL": "https://api.schwabapi.com"}, "BROKERS_SANDBOX_URL"),
        ({**PRODUCTION, "DEBUG": "1"}, "DEBUG"),
        ({**PRODUCTION, "SECRET_KEY": "development-only-do-not-use-in-production-0123456789abcdef"}, "SECRET_KEY"),
        ({**PRODUCTION, "SECRET_KEY": "short"}, "SECRET_KEY"),
        ({**PRODUCTION, "CREDENTIALS_KEYS": "dev:ZGV2ZWxvcG1lbnQtb25seS1rZXktMzItYnl0ZXMtISE="}, "CREDENTIALS_KEYS"),
        ({**PRODUCTION, "BROKERS_SANDBOX_URL": "http://127.0.0.1:8900"}, "BROKERS_SANDBOX_URL"),
        ({**PRODUCTION, "BASE_URL": "http://hub.example.com"}, "BASE_URL"),
        ({**PRODUCTION, "OIDC_SIGNING_KEY": ""}, "OIDC_SIGNING_KEY"),
        ({"OIDC_SIGNING_KEY": f"/nowhere/{SECRET}"}, "OIDC_SIGNING_KEY"),
        ({"OIDC_SIGNING_KEY": an_rsa_key(1024)}, "OIDC_SIGNING_KEY"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_wrong_value_stops_the_start_with_one_sentence(wrong, named):
    stopped = load(**wrong)
    assert stopped.returncode == 2, stopped.stderr
    assert stopped.stderr.startswith("The hub cannot start: ")
    assert stopped.stderr.count("\n") == 1
    assert named in stopped.stderr
    assert SECRET not in stopped.stderr
    assert "bGl2ZS1rZXk" not in stopped.stderr
    assert "ZGV2ZWxvcG1" not in stopped.stderr


def test_production_starts_with_secrets_of_its_own():
    started = load(**PRODUCTION)
    assert (started.returncode, started.stderr) == (0, "")


def test_djangos_own_check_for_production_has_nothing_to_say():
    checked = start("manage.py", "check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert checked.returncode == 0, checked.stderr
    assert "no issues" in checked.stdout
