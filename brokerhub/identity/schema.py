"""How the API's description tells of apps."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from brokerhub.kernel.models import Scope


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "brokerhub.identity.authentication.AppAuthentication"
    name = "app"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, object]:
        flow = {
            "authorizationUrl": "/oauth/authorize",
            "tokenUrl": "/oauth/token",
            "refreshUrl": "/oauth/token",
            "scopes": {scope.value: scope.label for scope in Scope},
        }
        return {
            "type": "oauth2",
            "description": "An app that people let in on the hub's own page; docs/oauth-provider.md tells how.",
            "flows": {"authorizationCode": flow},
        }
