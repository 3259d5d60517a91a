"""One sign-in under way: a state that is good once, the PKCE verifier, the browser session it belongs to.

Rules: RFC 9700 sections 2.1 and 4.7 (state bound to the session, PKCE), RFC 7636 (S256).
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from datetime import timedelta

from django.utils import timezone

from brokerhub.kernel.models import User
from connections import credentials
from connections.errors import SignInFailed
from connections.models import Authorization, Connection

SIGN_IN_MINUTES = 15
KEPT = timedelta(days=1)  # after its end, so that a late return is told why it is late
AGAIN = "This sign-in cannot be used: it was finished before, or begun elsewhere. Please connect once more."


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def begin(*, connection: Connection, redirect_uri: str, session_nonce: str) -> tuple[str, str]:
    """(state, PKCE challenge) of a new sign-in. Only digests and the sealed verifier are stored; old ones go."""
    now = timezone.now()
    connection.authorizations.filter(expires_at__lt=now - KEPT).delete()
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    digest = _digest(state)
    Authorization.objects.create(
        connection=connection,
        state_digest=digest,
        session_nonce_digest=_digest(session_nonce) if session_nonce else "",
        sealed_verifier=credentials.seal({"verifier": verifier}, owner=digest),
        redirect_uri=redirect_uri,
        expires_at=now + timedelta(minutes=SIGN_IN_MINUTES),
    )
    challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return state, challenge


def redeem(*, user: User, broker: str, state: str, session_nonce: str) -> Authorization:
    """The sign-in this state belongs to, used up by this very call. `broker` may be empty. Raises SignInFailed."""
    authorization = (
        Authorization.objects.select_related("connection", "connection__user")
        .filter(state_digest=_digest(state), connection__user=user)
        .first()
    )
    if authorization is None or broker not in ("", authorization.connection.broker):
        raise SignInFailed(AGAIN)
    bound = authorization.session_nonce_digest
    if bound and not hmac.compare_digest(bound, _digest(session_nonce)):
        raise SignInFailed(AGAIN)
    if authorization.expires_at < timezone.now():
        raise SignInFailed(f"The sign-in took longer than {SIGN_IN_MINUTES} minutes. Please connect once more.")
    if not Authorization.objects.filter(pk=authorization.pk, used_at=None).update(used_at=timezone.now()):
        raise SignInFailed(AGAIN)
    return authorization


def verifier_of(authorization: Authorization) -> str:
    """The PKCE verifier. Raises SignInFailed when the key that sealed it is gone."""
    try:
        values = credentials.unseal(bytes(authorization.sealed_verifier), owner=authorization.state_digest)
    except credentials.CredentialsUnreadable as error:
        raise SignInFailed("The hub's keys were changed during the sign-in. Please connect once more.") from error
    return str(values["verifier"])
