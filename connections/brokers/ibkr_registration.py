"""What the hub, or a person, registers at Interactive Brokers for its Web API: which keys, and how to come by them."""

from pathlib import Path

import structlog
from django.conf import settings

from connections.brokers.base import KeyField, KeysRefused
from connections.brokers.ibkr_keys import Consumer

log = structlog.get_logger(__name__)

KEY_PAGE = "https://ndcdyn.interactivebrokers.com/sso/Login?action=OAUTH&RL=1&ip2loc=US"
LONGEST_PATH = 1000  # characters: what is longer is a key, not the name of a file

APP_FIELDS = (
    KeyField(
        name="consumer_key",
        label="Consumer key",
        help="As Interactive Brokers told it when it approved the hub as a third party.",
        is_secret=False,
    ),
    KeyField(
        name="signing_key",
        label="Private signing key",
        help="The text of private_signature.pem, whose public half you sent to Interactive Brokers.",
        is_long=True,
    ),
    KeyField(
        name="encryption_key",
        label="Private encryption key",
        help="The text of private_encryption.pem, whose public half you sent to Interactive Brokers.",
        is_long=True,
    ),
    KeyField(
        name="dh_prime",
        label="Diffie-Hellman parameters",
        help="The text of dhparam.pem, or its prime in hex.",
        is_secret=False,
        is_long=True,
    ),
    KeyField(
        name="callback_url",
        label="Callback URL",
        help="Letter by letter as it is registered with the consumer key.",
        is_secret=False,
    ),
)
APP_MISSING = (
    "IBKR_CONSUMER_KEY, IBKR_SIGNING_KEY, IBKR_ENCRYPTION_KEY and IBKR_DH_PRIME are missing, or a file they name is."
)

FIELDS = (
    KeyField(
        name="consumer_key",
        label="Consumer key",
        help="The nine letters you chose on the page for API keys.",
        is_secret=False,
    ),
    KeyField(
        name="access_token",
        label="Access token",
        help="Shown once on that page, after Generate Token.",
    ),
    KeyField(
        name="access_token_secret",
        label="Access token secret",
        help="The long text shown with the token.",
        is_long=True,
    ),
    KeyField(
        name="signing_key",
        label="Private signing key",
        help="The text of private_signature.pem, from -----BEGIN to the end. Not the public one.",
        is_long=True,
    ),
    KeyField(
        name="encryption_key",
        label="Private encryption key",
        help="The text of private_encryption.pem, from -----BEGIN to the end. Not the public one.",
        is_long=True,
    ),
    KeyField(
        name="dh_param",
        label="Diffie-Hellman parameters",
        help="The text of dhparam.pem, from -----BEGIN to the end.",
        is_secret=False,
        is_long=True,
    ),
)
STEPS = (
    "On your own computer make two key pairs and the parameters: openssl genrsa -out private_signature.pem 2048, then "
    "openssl rsa -in private_signature.pem -pubout -out public_signature.pem, the same two for private_encryption.pem "
    "and public_encryption.pem, and openssl dhparam -out dhparam.pem 2048.",
    f"Sign in on Interactive Brokers' page for API keys ({KEY_PAGE}) with the login whose accounts you want to see.",
    "Choose a consumer key of nine letters there, and upload public_signature.pem, public_encryption.pem and "
    "dhparam.pem.",
    "Generate the token. Copy access token and token secret at once: they are shown one time only.",
    "Enter them here with the two private keys. The private keys were never uploaded; the hub keeps them encrypted.",
    "New keys begin to work after Interactive Brokers' nightly reset, sometimes only after the weekend. If the hub "
    "says that the consumer key is not known, try again the next day.",
)


def check_app(values: dict[str, str]) -> dict[str, str]:
    """App keys that can be right. Raises KeysRefused."""
    Consumer.of(values, dh="dh_prime")
    if not values["callback_url"].startswith(("https://", "http://127.0.0.1", "http://localhost")):
        raise KeysRefused("An address that begins with https://, as it is registered.", field="callback_url")
    return values


def app_from_settings() -> dict[str, str]:
    """The environment's registration; a key that stands in a file is read from it, "" when it cannot be."""
    return {
        "consumer_key": settings.IBKR_CONSUMER_KEY,
        "signing_key": _material("IBKR_SIGNING_KEY"),
        "encryption_key": _material("IBKR_ENCRYPTION_KEY"),
        "dh_prime": _material("IBKR_DH_PRIME"),
        "realm": settings.IBKR_REALM,
        "callback_url": settings.IBKR_CALLBACK_URL,
    }


def _material(name: str) -> str:
    """The text itself, or that of the file whose name it is. Only the environment may name files."""
    value = str(getattr(settings, name))
    if "-----BEGIN" in value or len(value) > LONGEST_PATH or not value or _is_hex(value):
        return value
    try:
        return Path(value).read_text()
    except (OSError, UnicodeDecodeError) as error:
        log.error("key_file_unreadable", setting=name, why=type(error).__name__)
        return ""


def _is_hex(value: str) -> bool:
    return len(value) > 100 and all(letter in "0123456789abcdefABCDEF" for letter in value.removeprefix("0x"))
