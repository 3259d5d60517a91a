"""What an authorization request must be before anybody is asked about it: stricter than the library asks for."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from allauth.idp.oidc.models import Client
from django.http import QueryDict

LOOPBACK = {"127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Unusable(Exception):
    """Told on the hub's own page, as nobody can say where the request came from."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Refused(Exception):
    """Told to the app at its redirect address, by an error code of RFC 6749 or OpenID Connect."""

    redirect_uri: str
    error: str
    description: str
    state: str

    @property
    def params(self) -> dict[str, str]:
        said = {"error": self.error, "error_description": self.description}
        return said | ({"state": self.state} if self.state else {})


def check(params: QueryDict) -> None:
    """Raises Unusable and Refused. What is not looked at here, the library checks."""
    client = Client.objects.filter(pk=params.get("client_id", "")).first()
    if client is None:
        raise Unusable("This hub does not know the app that sent you here. Its registration may have been removed.")
    redirect_uri = params.get("redirect_uri", "")
    if not any(_same(redirect_uri, registered) for registered in client.get_redirect_uris()):
        raise Unusable(f"{client.name} asks to send you to an address that it has not registered here.")

    _check_wish(params, client, redirect_uri)


def _check_wish(params: QueryDict, client: Client, redirect_uri: str) -> None:
    """Before the person signs in: browsers do not let the sign-in's form lead on to another site."""

    def refused(error: str, description: str) -> Refused:
        return Refused(redirect_uri, error, description, params.get("state", ""))

    if params.get("response_type") != "code":
        raise refused("unsupported_response_type", "The response_type is code.")
    unknown = set(params.get("scope", "").split()) - set(client.get_scopes())
    if unknown or not params.get("scope"):
        raise refused("invalid_scope", f"This app may ask for: {' '.join(client.get_scopes())}")
    if "none" in params.get("prompt", "").split():
        raise refused("consent_required", "This hub always asks the person.")
    if not params.get("code_challenge") or params.get("code_challenge_method") != "S256":
        raise refused("invalid_request", "Send a code_challenge with the code_challenge_method S256 (PKCE).")


def _same(given: str, registered: str) -> bool:
    """Letter by letter (RFC 9700, 2.1). Only the port of an app on the person's own machine is its own choice, as it
    takes a free one each time (RFC 8252, 7.3)."""
    if given == registered:
        return True
    parts = urlsplit(registered)
    if parts.scheme != "http" or parts.hostname not in LOOPBACK:
        return False
    try:
        port = urlsplit(given).port
    except ValueError:
        return False
    host = f"[{parts.hostname}]" if parts.hostname == "::1" else parts.hostname
    return port is not None and given == parts._replace(netloc=f"{host}:{port}").geturl()
