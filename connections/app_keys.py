"""The hub's registrations as an app at brokers: whose keys a sign-in uses, and how they are entered.

A person's own keys come before those an administrator has entered, and these before the environment's. A grant works
only with the app it was given to, so a connection goes on with that one whatever is entered later.
"""

import hashlib
from collections.abc import Mapping

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import ProtectedError, Q
from django.utils import timezone

from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from connections.brokers import BROKERS, BrokerEntry, NotConfigured
from connections.brokers.base import AppKeys
from connections.brokers.records import AuthMethod
from connections.credentials import CredentialsUnreadable
from connections.models import AppCredentials, Connection

log = structlog.get_logger(__name__)
HINT = 6  # characters of the first, public value


def for_sign_in(*, user: User, entry: BrokerEntry) -> tuple[AppKeys, AppCredentials | None]:
    """The keys a new sign-in of `user` uses, and where they are stored. Raises NotConfigured: what is missing."""
    if not entry.app_fields:
        return AppKeys(), None
    stored = AppCredentials.objects.here().filter(Q(owner=user) | Q(owner=None), method=entry.method)
    app = stored.order_by("owner").first()  # PostgreSQL puts null last: a person's own come first
    return _keys(entry, app), app


def of(connection: Connection) -> AppKeys:
    """The keys this connection's access was given to. Raises NotConfigured."""
    return _keys(BROKERS[AuthMethod(connection.method)], connection.app)


def digest(entry: BrokerEntry, keys: AppKeys) -> str:
    """Tells one registration from another, whoever entered it; "" where the broker needs none."""
    if not entry.app_fields:
        return ""
    return hashlib.sha256(keys[entry.app_fields[0].name].encode()).hexdigest()[:16]


def stored_or_environment(method: AuthMethod, app: AppCredentials | None) -> AppKeys:
    """Raises NotConfigured."""
    return _keys(BROKERS[method], app)


def _keys(entry: BrokerEntry, app: AppCredentials | None) -> AppKeys:
    if not entry.app_fields:
        return AppKeys()
    if app is None:
        values = entry.app_from_settings()
        if not all(values.get(field.name) for field in entry.app_fields):
            raise NotConfigured(
                f"{entry.broker.label} is not set up here yet: {entry.app_missing} An administrator can enter the "
                "keys, or you enter your own under Settings."
            )
        return AppKeys(values=values)
    try:
        return app.read_keys()
    except CredentialsUnreadable as error:
        log.error("app_credentials_unreadable", app_id=str(app.pk), why=str(error))
        raise NotConfigured(
            f"The app keys for {entry.broker.label} can no longer be read. Please enter them again."
        ) from error


@transaction.atomic
def enter(*, owner: User | None, method: AuthMethod, values: Mapping[str, str]) -> AppCredentials:
    """Store keys, or change those stored. Raises KeysRefused, naming the field, when they cannot be right."""
    entry = BROKERS[method]
    checked = entry.check_app({field.name: values[field.name].strip() for field in entry.app_fields})
    app, _ = AppCredentials.objects.get_or_create(method=method, environment=settings.ENVIRONMENT, owner=owner)
    app.seal_keys(checked)
    app.hint = checked[entry.app_fields[0].name][:HINT]
    app.changed_at = timezone.now()
    app.save()
    log.info("app_credentials_entered", app_id=str(app.pk), method=method.value, for_all=owner is None)
    return app


def remove(app: AppCredentials) -> None:
    """Forget keys that no connection needs any more. Raises NotAllowed while one does."""
    try:
        app.delete()
    except ProtectedError as error:
        used = app.connections.count()
        raise NotAllowed(
            f"{used} connection{'' if used == 1 else 's'} still work{'s' if used == 1 else ''} with these keys. "
            "Disconnect first, then remove them."
        ) from error
