"""Settings of the sandbox: a server on loopback without a database, a session or a user."""

import logging
import secrets
from pathlib import Path

from connections.sandbox.hosts import BY_HOST

HERE = Path(__file__).parent
SECRET_KEY = secrets.token_urlsafe(50)  # nothing outlives the process
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]", *BY_HOST]
ROOT_URLCONF = "connections.sandbox.urls"
WSGI_APPLICATION = "connections.sandbox.wsgi.application"
INSTALLED_APPS = ["connections.sandbox"]
MIDDLEWARE = [
    "connections.sandbox.hosts.by_host",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
]
SECURE_REFERRER_POLICY = "no-referrer"  # the sign-in page's address holds the state
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [HERE / "templates"]}]
DATABASES: dict[str, dict[str, str]] = {}
USE_TZ = True
TIME_ZONE = "UTC"
APPEND_SLASH = False
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024


def is_crash(record: logging.LogRecord) -> bool:
    """A 5xx that a fault ordered is no news; an exception is."""
    return record.exc_info is not None


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"crashes": {"()": "django.utils.log.CallbackFilter", "callback": is_crash}},
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "loggers": {
        "django": {"handlers": ["stderr"], "level": "ERROR", "propagate": False},
        "django.request": {"filters": ["crashes"]},
        "django.security.DisallowedHost": {"handlers": [], "propagate": False},
    },
}
