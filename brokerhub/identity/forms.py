"""What an administrator says of an app: the few things that differ from one to the next."""

import re
from typing import Any
from urllib.parse import urlsplit

from allauth.idp.oidc.models import Client
from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator

from brokerhub.identity.requests import LOOPBACK
from brokerhub.identity.words import CHOICES

_APP_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")  # a domain turned round (RFC 8252, 7.1)
_ODD = re.compile(r"[\s;,'\"\\<>]")  # would end a word of a header or an attribute
GRANTS = [Client.GrantType.AUTHORIZATION_CODE.value, Client.GrantType.REFRESH_TOKEN.value]


def check_redirect(address: str) -> None:
    """https, the app's own scheme, or http on the person's own machine. Raises ValidationError."""
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError as error:
        raise ValidationError(f"{address} is no web address.") from error
    if parts.fragment or "#" in address or "*" in address or "@" in parts.netloc or _ODD.search(address):
        raise ValidationError(f"{address} must have no fragment, wildcard, user name, quote or blank.")
    if parts.scheme in {"http", "https"}:
        if parts.scheme == "http" and host not in LOOPBACK:
            raise ValidationError(f"{address} must start with https://, or with http://127.0.0.1 for a local app.")
        if not host:
            raise ValidationError(f"{address} is no web address.")
    elif not _APP_SCHEME.fullmatch(parts.scheme):
        raise ValidationError(f"{address}: an app's own scheme is a domain turned round, like com.example.app:/back.")


class ClientForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    website = forms.CharField(
        required=False,
        max_length=200,
        validators=[URLValidator(schemes=["https"])],
        help_text="Shown to people who are asked to let it in.",
    )
    scopes = forms.MultipleChoiceField(
        label="May ask for",
        choices=CHOICES,
        widget=forms.CheckboxSelectMultiple,
        help_text="Each person decides what of it to allow.",
    )
    redirect_uris = forms.CharField(
        label="Redirect addresses",
        widget=forms.Textarea(attrs={"rows": 3, "cols": 80}),
        help_text="One a line, compared letter by letter. Only the port of http://127.0.0.1 may differ.",
    )

    class Meta:
        model = Client
        fields = ("name", "website", "type", "scopes", "redirect_uris")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and not self.instance._state.adding:
            self.initial["scopes"] = self.instance.get_scopes()
            self.initial["website"] = website_of(self.instance)

    def clean_redirect_uris(self) -> str:
        addresses = [line.strip() for line in self.cleaned_data["redirect_uris"].splitlines() if line.strip()]
        for address in addresses:
            check_redirect(address)
        return "\n".join(addresses)

    def clean_scopes(self) -> str:
        return "\n".join(self.cleaned_data["scopes"])

    def save(self, commit: bool = True) -> Client:
        """Everything else is the same for every app: the code flow with refresh, always with consent."""
        client: Client = self.instance
        client.set_grant_types(GRANTS)
        client.set_response_types([Client.ResponseType.CODE.value])
        client.skip_consent = client.allow_uri_wildcards = False
        client.data = {"client_metadata": {"client_uri": self.cleaned_data["website"]}}
        saved: Client = super().save(commit)
        return saved


def website_of(client: Client) -> str:
    """As the administrator entered it, "" for none; the name is RFC 7591's."""
    return str(((client.data or {}).get("client_metadata") or {}).get("client_uri") or "")
