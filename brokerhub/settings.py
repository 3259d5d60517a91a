"""The one settings file, read from the environment. A wrong value stops the start with a sentence.

Every variable is listed with its meaning in docs/operations.md, "Environment".
"""

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import global_settings
from environs import Env, EnvError
from kombu import Queue
from marshmallow.validate import OneOf, Range

from brokerhub import embedded
from brokerhub.kernel.config import (
    ConfigurationError,
    check_schwab_callback,
    credentials_keys,
    database,
    is_loopback,
    read_secret_files,
    redis_urls,
    signing_key,
)
from brokerhub.kernel.log_lines import log_lines
from brokerhub.schema_settings import SPECTACULAR_SETTINGS as SPECTACULAR_SETTINGS

BASE_DIR = Path(__file__).resolve().parent.parent
DEVELOPMENT_SECRET = "development-only-do-not-use-in-production-0123456789abcdef"  # nosec B105  # refused in production
DEVELOPMENT_CREDENTIALS_KEY = "dev:ZGV2ZWxvcG1lbnQtb25seS1rZXktMzItYnl0ZXMtISE="


def stop(sentence: str) -> None:
    sys.stderr.write(f"The hub cannot start: {sentence}\n")
    raise SystemExit(2)


if sys.flags.optimize:
    stop("Python runs with -O, which leaves out checks the hub relies on. Start it without, and unset PYTHONOPTIMIZE.")

try:
    read_secret_files(os.environ)
except ConfigurationError as error:
    stop(str(error))

env = Env(eager=False)
MODE: str = env.str("MODE", "development", validate=OneOf(["development", "production"]))
PRODUCTION = MODE == "production"
DEBUG: bool = env.bool("DEBUG", False)
SECRET_KEY: str = env.str("SECRET_KEY", DEVELOPMENT_SECRET)
_credentials_keys: list[str] = env.list("CREDENTIALS_KEYS", [DEVELOPMENT_CREDENTIALS_KEY])
PORT: int = env.int("PORT", 8000)
VAR_DIR: Path = env.path("VAR_DIR", BASE_DIR / "var")
BASE_URL: str = env.str("BASE_URL", f"http://127.0.0.1:{PORT}").rstrip("/")
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]"])
EMAIL: dict[str, Any] = env.dj_email_url("EMAIL_URL", "console:")
DEFAULT_FROM_EMAIL: str = env.str("DEFAULT_FROM_EMAIL", "Broker Integration Hub <hub@localhost>")
LOG_FORMAT: str = env.str("LOG_FORMAT", "json" if PRODUCTION else "text", validate=OneOf(["json", "text"]))
LOG_LEVEL: str = env.str("LOG_LEVEL", "INFO", validate=OneOf(["DEBUG", "INFO", "WARNING", "ERROR"]))
BROKERS_SANDBOX_URL: str = env.str("BROKERS_SANDBOX_URL", "").rstrip("/")
SCHWAB_APP_KEY: str = env.str("SCHWAB_APP_KEY", "")
SCHWAB_APP_SECRET: str = env.str("SCHWAB_APP_SECRET", "")
SCHWAB_CALLBACK_URL: str = env.str("SCHWAB_CALLBACK_URL", f"{BASE_URL}/connections/callback/schwab")
ROBINHOOD_CALLBACK_URL: str = env.str("ROBINHOOD_CALLBACK_URL", f"{BASE_URL}/connections/callback/robinhood")
ROBINHOOD_PRIVATE_LOGIN: bool = env.bool("ROBINHOOD_PRIVATE_LOGIN", False)  # unofficial: read docs/robinhood.md first
IBKR_CONSUMER_KEY: str = env.str("IBKR_CONSUMER_KEY", "")
IBKR_SIGNING_KEY: str = env.str("IBKR_SIGNING_KEY", "")  # PEM text, or the path of a file with it
IBKR_ENCRYPTION_KEY: str = env.str("IBKR_ENCRYPTION_KEY", "")
IBKR_DH_PRIME: str = env.str("IBKR_DH_PRIME", "")  # hex, PEM text, or a path
IBKR_REALM: str = env.str("IBKR_REALM", "limited_poa")
IBKR_CALLBACK_URL: str = env.str("IBKR_CALLBACK_URL", f"{BASE_URL}/connections/callback/ibkr")
ALPACA_CLIENT_ID: str = env.str("ALPACA_CLIENT_ID", "")
ALPACA_CLIENT_SECRET: str = env.str("ALPACA_CLIENT_SECRET", "")
ALPACA_CALLBACK_URL: str = env.str("ALPACA_CALLBACK_URL", f"{BASE_URL}/connections/callback/alpaca")
BROKER_READ_TIMEOUT: float = env.float("BROKER_READ_TIMEOUT", 60.0)  # Schwab's wide windows often take over 30 s
SYNC_INTERVAL = timedelta(hours=env.float("SYNC_INTERVAL_HOURS", 6.0))  # how old a connection's data may get
SYNC_LEASE_SECONDS: float = env.float("SYNC_LEASE_SECONDS", 60.0)  # a run whose worker is silent for so long goes on
# How long measurements of calls to brokers are kept: by the minute, by the hour, by the day.
HEALTH_KEEP_MINUTES = timedelta(days=env.float("HEALTH_KEEP_MINUTES_DAYS", 2, validate=Range(min=1)))
HEALTH_KEEP_HOURS = timedelta(days=env.float("HEALTH_KEEP_HOURS_DAYS", 32, validate=Range(min=31)))
HEALTH_KEEP_DAYS = timedelta(days=env.float("HEALTH_KEEP_DAYS_DAYS", 800, validate=Range(min=366)))
# How many days rows are kept that no books rest on; 0 is for ever. What each rule covers: brokerhub/retention.py.
KEEP_DAYS = {
    "connection_events": env.float("KEEP_CONNECTION_EVENTS_DAYS", 0, validate=Range(min=0)),
    "admin_log": env.float("KEEP_ADMIN_LOG_DAYS", 0, validate=Range(min=0)),
    "notices": env.float("KEEP_NOTICES_DAYS", 400, validate=Range(min=30)),
    "comparisons": env.float("KEEP_COMPARISONS_DAYS", 90, validate=Range(min=1)),
    "ended_access": env.float("KEEP_ENDED_ACCESS_DAYS", 30, validate=Range(min=1)),
}
HEALTH_PUBLIC: bool = env.bool("HEALTH_PUBLIC", False)  # whether brokers' states can be seen without a login
SESSION_IDLE = timedelta(hours=env.float("SESSION_IDLE_HOURS", 12.0, validate=Range(min=0.1)))
SESSION_COOKIE_AGE = round(86400 * env.float("SESSION_DAYS", 7.0, validate=Range(min=0.1)))  # seconds since the sign-in
WEBHOOK_ALLOW_PRIVATE: bool = env.bool("WEBHOOK_ALLOW_PRIVATE", False)  # of the hub's own network, http on loopback
WEBHOOK_GIVE_UP_AFTER = timedelta(days=env.float("WEBHOOK_GIVE_UP_DAYS", 5, validate=Range(min=1)))
WEBHOOK_KEEP = timedelta(days=env.float("WEBHOOK_KEEP_DAYS", 30, validate=Range(min=2)))  # the log of deliveries
METRICS_TOKEN: str = env.str("METRICS_TOKEN", "")  # what Prometheus presents at /metrics; empty: there is no such page
REAUTHENTICATION_MINUTES: float = env.float("REAUTHENTICATION_MINUTES", 10.0, validate=Range(min=1))
TRUSTED_PROXIES: int = env.int("TRUSTED_PROXIES", 1 if PRODUCTION else 0)  # how many set X-Forwarded-For before us
_oidc_signing_key: str = env.str("OIDC_SIGNING_KEY", "")  # PEM text, or the path of a file with it
_celery_key_prefix: str = env.str("CELERY_KEY_PREFIX", "hub:")
_database_url: str = env.str("DATABASE_URL", "")
_redis_url: str = env.str("REDIS_URL", "")
try:
    env.seal()
except EnvError as error:
    stop(str(error))

try:
    CREDENTIALS_KEYS = credentials_keys(_credentials_keys)
    if PRODUCTION:
        if DEBUG:
            raise ConfigurationError("DEBUG must be off when MODE is production.")
        if SECRET_KEY == DEVELOPMENT_SECRET or len(SECRET_KEY) < 50:
            raise ConfigurationError("SECRET_KEY must be set to 50 or more random characters in production.")
        if DEVELOPMENT_CREDENTIALS_KEY in _credentials_keys:
            raise ConfigurationError("CREDENTIALS_KEYS must be set to your own keys in production.")
        if BROKERS_SANDBOX_URL:
            raise ConfigurationError("BROKERS_SANDBOX_URL is for development; unset it in production.")
        if not BASE_URL.startswith("https://"):
            raise ConfigurationError("BASE_URL must start with https:// in production.")
        if not _oidc_signing_key:
            raise ConfigurationError("OIDC_SIGNING_KEY must be set in production (openssl genrsa -out oidc.pem 2048).")
    IDP_OIDC_PRIVATE_KEY = signing_key(_oidc_signing_key, kept_in=VAR_DIR / "oidc-signing-key.pem")
    if SCHWAB_APP_KEY and not BROKERS_SANDBOX_URL:
        check_schwab_callback(SCHWAB_CALLBACK_URL)
    if BROKERS_SANDBOX_URL and not is_loopback(BROKERS_SANDBOX_URL):
        raise ConfigurationError("BROKERS_SANDBOX_URL must be on this machine (http://127.0.0.1:PORT).")
    DATABASE_URL = _database_url or embedded.database_url(VAR_DIR)
    REDIS_URL = _redis_url or embedded.redis_url(VAR_DIR)
    REDIS_CACHE_URL, CELERY_BROKER_URL, RATE_LIMIT_STORAGE_URL = redis_urls(REDIS_URL)
    DATABASES: dict[str, Any] = {"default": database(DATABASE_URL)}
    if "EMAIL_BACKEND" not in EMAIL:
        raise ConfigurationError(
            "EMAIL_URL must look like smtp+tls://USER:PASSWORD@HOST:587, or console: to print mails."
        )
except (ConfigurationError, embedded.EmbeddedError) as error:
    stop(str(error))

ENVIRONMENT = "sandbox" if BROKERS_SANDBOX_URL else "live"
if BROKERS_SANDBOX_URL:  # checked above to be loopback: the one place where OAuth may go over plain http
    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
_redis_cache = {"LOCATION": REDIS_CACHE_URL, "OPTIONS": {"socket_timeout": 10, "socket_connect_timeout": 3}}
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", **_redis_cache},
    "hints": {"BACKEND": "brokerhub.kernel.hints.Hints", **_redis_cache},
}

INSTALLED_APPS = [
    "brokerhub",
    "brokerhub.kernel",
    "brokerhub.archive",
    "connections",
    "health",
    "aggregation",
    "sync",
    "comparison",
    "brokerhub.webhooks",
    "brokerhub.desk_apps.HubAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "django.forms",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.idp.oidc",
    "brokerhub.identity",
    "csp",
    "django_filters",
    "django_htmx",
    "django_structlog",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "drf_standardized_errors",
    "heroicons",
    "knox",
    "rest_framework",
    "template_partials",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",  # pads its answers at random, so that lengths tell nothing (BREACH)
    "brokerhub.middleware.request_id_header",
    "brokerhub.middleware.probed_by_any_name",
    "django_structlog.middlewares.RequestMiddleware",
    "brokerhub.middleware.refuse_nul",
    "brokerhub.middleware.rate_limit_headers",
    "brokerhub.middleware.idempotency",
    "brokerhub.middleware.note_writes",
    "brokerhub.middleware.keep_private",
    "brokerhub.middleware.known_methods_only",
    "brokerhub.api.tls_only",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "brokerhub.sessions.limit_sessions",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "brokerhub.middleware.sign_in_on_a_whole_page",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "brokerhub.middleware.user_timezone",
    "brokerhub.middleware.HubErrorMiddleware",
]

ROOT_URLCONF = "brokerhub.urls"
WSGI_APPLICATION = "brokerhub.wsgi.application"
APPEND_SLASH = True
_loaders = ["django.template.loaders.filesystem.Loader", "django.template.loaders.app_directories.Loader"]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "loaders": [
                (
                    "template_partials.loader.Loader",
                    _loaders if DEBUG else [("django.template.loaders.cached.Loader", _loaders)],
                )
            ],
            "builtins": ["heroicons.templatetags.heroicons", "template_partials.templatetags.partials"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "brokerhub.shell.context",
            ],
        },
    },
]

FORM_RENDERER = "brokerhub.shell.FormRenderer"

# --- Signing in -------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "kernel.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "brokerhub.passwords.GuessableValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "overview"
PASSWORD_RESET_TIMEOUT = 3600  # seconds that the link of a forgotten password is good for
ACCOUNT_ADAPTER = "brokerhub.accounts.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory" if PRODUCTION else "optional"
ACCOUNT_UNIQUE_EMAIL = True
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if PRODUCTION else "http"
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
ACCOUNT_SESSION_REMEMBER = None
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = REAUTHENTICATION_MINUTES * 60  # for what brokerhub.kernel.reauthentication guards
ACCOUNT_EMAIL_NOTIFICATIONS = True  # of a changed password, address or second factor
# Guesses are counted in Redis, over all processes: by address of the network (ip), by account named (key), by person.
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",
    "login_failed": "10/m/ip,5/300s/key",
    "signup": "20/m/ip",
    "reset_password": "20/m/ip,5/m/key",  # nosec B105  # a limit
    "reset_password_from_key": "20/m/ip",  # nosec B105  # a limit
    "change_password": "5/m/user",  # nosec B105  # a limit
    "manage_email": "10/m/user",
    "reauthenticate": "10/m/user",
    "confirm_email": "1/180s/key",
}
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXIES  # whose address a login limit counts
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_ISSUER = "Broker Integration Hub"
MFA_ADAPTER = "brokerhub.mfa.SealedMFAAdapter"
USERSESSIONS_TRACK_ACTIVITY = True
IDP_OIDC_ADAPTER = "brokerhub.identity.adapter.HubOIDCAdapter"
IDP_OIDC_AUTHORIZATION_CODE_EXPIRES_IN = 60
IDP_OIDC_ACCESS_TOKEN_EXPIRES_IN = 3600
IDP_OIDC_REFRESH_TOKEN_EXPIRES_IN = 90 * 24 * 3600  # of disuse: each refresh gives a new one
APP_ACCESS_LASTS = timedelta(days=365)  # from a consent on, however busy the app is; then it asks the person again
IDP_OIDC_RATE_LIMITS = {"token": "60/m/ip"}  # nosec B105  # a limit
EMAIL_BACKEND = EMAIL["EMAIL_BACKEND"]
EMAIL_TIMEOUT = 10  # seconds; a silent mail server must not keep pages waiting
EMAIL_HOST, EMAIL_PORT = EMAIL["EMAIL_HOST"], EMAIL["EMAIL_PORT"]
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = EMAIL["EMAIL_HOST_USER"], EMAIL["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS, EMAIL_USE_SSL = EMAIL["EMAIL_USE_TLS"], EMAIL["EMAIL_USE_SSL"]

# --- Sessions, cookies, headers ---------------------------------------------------------------------------------------
SESSION_ENGINE = "django.contrib.sessions.backends.db"  # not cached in Redis: a sign-out must hold while Redis is away
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"  # not Strict: the broker's redirect back to us must carry the session
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
COOKIE_PREFIX = "__Host-" if PRODUCTION else ""  # browsers take such a cookie only over TLS and for this host alone
SESSION_COOKIE_NAME = f"{COOKIE_PREFIX}sessionid"
CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}csrftoken"
CSRF_COOKIE_HTTPONLY = True
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"  # one cookie less to look after
CSRF_TRUSTED_ORIGINS = [f"{urlsplit(BASE_URL).scheme}://{urlsplit(BASE_URL).netloc}"]
CSRF_FAILURE_VIEW = "brokerhub.views.csrf_failure"
X_FRAME_OPTIONS = "DENY"
SECURE_SSL_REDIRECT = PRODUCTION
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if PRODUCTION else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = PRODUCTION
SECURE_REDIRECT_EXEMPT = [r"^(healthz|livez|readyz)$", r"^api/v1/"]  # the API refuses instead: brokerhub.api.tls_only
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "object-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
        "manifest-src": ["'self'"],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
UPLOAD_MAX_BYTES = 20 * 1024 * 1024
IMPORT_CHECK_AT_ONCE_BYTES = 256 * 1024  # larger files are looked at by a worker
FILE_UPLOAD_HANDLERS = ["brokerhub.uploads.LimitedUpload", *global_settings.FILE_UPLOAD_HANDLERS]

# --- Language, time, static files -------------------------------------------------------------------------------------
LANGUAGE_CODE = "en-us"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles" if PRODUCTION else VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "brokerhub.shell.PlotlyFinder",
]
WHITENOISE_USE_FINDERS = not PRODUCTION
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# --- REST API ---------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "brokerhub.kernel.api.ScopedTokenAuthentication",
        "brokerhub.identity.authentication.AppAuthentication",
        "brokerhub.kernel.api.Session",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "brokerhub.kernel.api.HasScope",
        "brokerhub.kernel.reauthentication.AskedAgain",
        "brokerhub.kernel.idempotency.OncePerKey",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "brokerhub.kernel.api.CursorPages",
    "PAGE_SIZE": 100,
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "brokerhub.kernel.schema.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["brokerhub.kernel.api.UserBudget", "brokerhub.kernel.api.AnonymousBudget"],
    "DEFAULT_THROTTLE_RATES": {"user": "600/minute", "anonymous": "60/minute"},
    "NUM_PROXIES": TRUSTED_PROXIES,
    "EXCEPTION_HANDLER": "brokerhub.api.exception_handler",
    "COERCE_DECIMAL_TO_STRING": True,
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
REST_KNOX = {"TOKEN_TTL": timedelta(days=365), "TOKEN_PREFIX": "hub_", "AUTH_HEADER_PREFIX": "Token"}  # nosec B105  # a name
KNOX_TOKEN_MODEL = "kernel.ApiToken"  # nosec B105  # a name
MIGRATION_MODULES = {"knox": None}  # they make a table for the model that ours replaces; no test could empty it

# --- Background work --------------------------------------------------------------------------------------------------
# A task that a killed worker held comes back in about ten seconds: all three transport options are needed for that.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 60,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 5,
    "global_keyprefix": _celery_key_prefix,
}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_DEFAULT_QUEUE = "default"
# One queue for the syncs of each broker, read in turn: many who wait for a slow broker keep nobody else waiting.
SYNC_QUEUES = {broker: f"sync.{broker}" for broker in ("schwab", "robinhood", "ibkr", "alpaca")}
CELERY_TASK_QUEUES = [Queue(name) for name in (*SYNC_QUEUES.values(), "files", "health", "default")]
CELERY_TASK_ROUTES = {
    "sync.import_file": {"queue": "files"},
    "sync.check_draft": {"queue": "files"},
    "health.*": {"queue": "health"},
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "brokerhub.bell:Bell"

# --- Logs: one line an event with the request's id, or the one of the request that started the task -------------------
DJANGO_STRUCTLOG_CELERY_ENABLED = True
DJANGO_STRUCTLOG_TRUST_UPSTREAM_REQUEST_ID = True  # settled by our own middleware, which stands before
LOGGING = log_lines(LOG_FORMAT, LOG_LEVEL)
