"""What allauth's identity provider asks the hub."""

import secrets
from typing import Any

from allauth.idp.oidc.adapter import DefaultOIDCAdapter
from django.conf import settings
from django.core.exceptions import ValidationError

from brokerhub.identity.words import CHOICES


class HubOIDCAdapter(DefaultOIDCAdapter):  # type: ignore[misc]  # allauth has no type hints
    """The issuer is BASE_URL, whatever Host a request came with."""

    scope_display = dict(CHOICES)

    def generate_client_secret(self) -> str:
        return secrets.token_urlsafe(32)

    def get_issuer(self) -> str:
        return str(settings.BASE_URL)

    def validate_resource_uris(self, *, uris: list[str], **kwargs: Any) -> None:
        """RFC 8707: there is one resource here, the API."""
        if set(uris) - {settings.BASE_URL, f"{settings.BASE_URL}/api/v1"}:
            raise ValidationError("The only resource of this hub is its API.")
