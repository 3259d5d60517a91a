"""One sign-in under way: a key that is good once, what was kept for the way back, the browser session it belongs to.

Rules: RFC 9700 sections 2.1 and 4.7 (state bound to the session, PKCE), RFC 7636 (S256).
"""

import hashlib
import hmac
import secrets
from datetime import timedelta

from django.utils import timezone

from brokerhub.kernel.models import User
from connections import credentials
from connections.brokers.base import SignIn
from connections.errors import SignInFailed
from connections.models import AppCredentials, Authorization, Connection

SIGN_IN_MINUTES = 15
PREPARED = timedelta(days=7)  # a person may come by a key only the next time they are at their computer
KEPT = timedelta(days=1)  # after its end, so that a late return is told why it is late
AGAIN = "This sign-in cannot be used: it was finished before, or begun elsewhere. Please connect once more."


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def begin(*, connection: Connection, sign_in: SignIn, session_nonce: str, app: AppCredentials | None = None) -> str:
    """The address where the person signs in. Only digests and what was sealed are stored; old ones go."""
    now = timezone.now()
    connection.authorizations.filter(expires_at__lt=now - KEPT).delete()
    begun = sign_in.begin(state=secrets.token_urlsafe(32))
    digest = _digest(begun.key)
    Authorization.objects.create(
        connection=connection,
        key_digest=digest,
        session_nonce_digest=_digest(session_nonce) if session_nonce else "",
        sealed_kept=credentials.seal(begun.kept, owner=digest),
        app=app,
        redirect_uri=sign_in.redirect_uri,
        expires_at=now + timedelta(minutes=SIGN_IN_MINUTES),
    )
    return begun.url


def redeem(*, user: User, broker: str, key: str, session_nonce: str) -> Authorization:
    """The sign-in this key names, used up by this very call. `broker` may be empty. Raises SignInFailed."""
    authorization = (
        Authorization.objects.select_related("connection", "connection__user", "app")
        .filter(key_digest=_digest(key), connection__user=user, is_prepared=False)
        .first()
    )
    if authorization is None or broker not in ("", authorization.connection.broker):
        raise SignInFailed(AGAIN)
    bound = authorization.session_nonce_digest
    if bound and not hmac.compare_digest(bound, _digest(session_nonce)):
        raise SignInFailed(AGAIN)
    if authorization.expires_at < timezone.now():
        raise SignInFailed(f"The sign-in took longer than {SIGN_IN_MINUTES} minutes. Please connect once more.")
    if not use_up(authorization):
        raise SignInFailed(AGAIN)
    return authorization


def use_up(authorization: Authorization) -> bool:
    """Whether it was still unused; from now on it is not."""
    return bool(Authorization.objects.filter(pk=authorization.pk, used_at=None).update(used_at=timezone.now()))


def prepare(connection: Connection, kept: dict[str, str]) -> Authorization:
    """Keep secrets that the hub has made for a sign-in by keys until the person is back from the broker.

    Those made before are forgotten.
    """
    connection.authorizations.filter(is_prepared=True).delete()
    digest = _digest(secrets.token_urlsafe(32))
    return Authorization.objects.create(
        connection=connection,
        key_digest=digest,
        sealed_kept=credentials.seal(kept, owner=digest),
        is_prepared=True,
        expires_at=timezone.now() + PREPARED,
    )


def prepared(connection: Connection) -> Authorization | None:
    """What was prepared for this connection and is still waiting."""
    waiting = connection.authorizations.filter(is_prepared=True, used_at=None, expires_at__gt=timezone.now())
    return waiting.order_by("-created_at").first()


def kept_by(authorization: Authorization) -> dict[str, str]:
    """What the sign-in kept for the way back. Raises SignInFailed when the key that sealed it is gone."""
    try:
        return credentials.unseal(bytes(authorization.sealed_kept), owner=authorization.key_digest)
    except credentials.CredentialsUnreadable as error:
        raise SignInFailed("The hub's keys were changed during the sign-in. Please connect once more.") from error
