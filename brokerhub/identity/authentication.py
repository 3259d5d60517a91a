"""`Authorization: Bearer`: an app's access token at the API."""

from dataclasses import dataclass

from allauth.idp.oidc.adapter import get_adapter
from allauth.idp.oidc.models import Token
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from brokerhub.identity import access
from brokerhub.identity.models import AppAccess
from brokerhub.kernel.models import User

UNKNOWN = "This access token is not known. It may have been revoked."


@dataclass(frozen=True, slots=True)
class AppCall:
    """What `request.auth` is for an app's request; `HasScope` reads the scopes of this very token."""

    access: AppAccess
    scopes: list[str]


class AppAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[User, AppCall] | None:
        """None for every other scheme. Tokens are looked up by their digest; expired and revoked ones have codes."""
        scheme, _, value = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        digest = get_adapter().hash_token(value.strip())
        token = Token.objects.select_related("user").filter(type=Token.Type.ACCESS_TOKEN, hash=digest).first()
        if token is None or token.user is None:
            raise AuthenticationFailed(UNKNOWN, code="token_invalid")
        if token.expires_at is not None and token.expires_at <= timezone.now():
            raise AuthenticationFailed("This access token has expired. Refresh it.", code="token_expired")
        if not token.user.is_active:
            raise AuthenticationFailed("This account is switched off.", code="user_inactive")
        granted = AppAccess.objects.filter(user=token.user, client=token.client_id).first()
        if granted is None:
            raise AuthenticationFailed(UNKNOWN, code="token_invalid")
        access.note_use(granted)
        return token.user, AppCall(granted, token.get_scopes())

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"
