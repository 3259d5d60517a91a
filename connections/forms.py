"""What a person types or ticks about connections."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from django import forms

from brokerhub.kernel.errors import HubError
from connections.audit import WHO
from connections.brokers import offered
from connections.brokers.base import KeyField, KeysRefused
from connections.brokers.records import AuthMethod

CODES = {"code", "mfa_code"}


class ConnectForm(forms.Form):
    method = forms.ChoiceField(choices=lambda: [(entry.method.value, entry.broker.label) for entry in offered()])

    def clean_method(self) -> AuthMethod:
        return AuthMethod(self.cleaned_data["method"])


class SecretArea(forms.Textarea):
    """Several lines that are secret: never written back into the page."""

    def format_value(self, value: Any) -> None:
        return None


def _widget(field: KeyField) -> forms.Widget:
    """`new-password` keeps browsers from filling in the hub's own password, `one-time-code` offers a code just sent."""
    look = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
    if field.is_long:
        area = SecretArea if field.is_secret else forms.Textarea
        return area(attrs=look | {"rows": 5, "class": "key-text"})
    if field.is_secret:
        return forms.PasswordInput(attrs=look | {"autocomplete": "new-password"})
    if field.name in CODES:
        return forms.TextInput(attrs=look | {"autocomplete": "one-time-code", "inputmode": "numeric"})
    return forms.TextInput(attrs=look)


def key_field(field: KeyField) -> forms.CharField:
    return forms.CharField(
        label=field.label,
        help_text=field.help,
        max_length=8000,
        strip=field.name != "password",
        widget=_widget(field),
    )


class KeysForm(forms.Form):
    """What a broker's way of connecting asks to be typed in; what is secret is never written back into the page."""

    def __init__(
        self, fields: Sequence[KeyField], data: Any = None, *, initial: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(data, initial=dict(initial or {}))
        self.fields.update({field.name: key_field(field) for field in fields})

    def refuse(self, error: HubError) -> None:
        """Say what was wrong beside the field that the error names, or above them all."""
        field = error.field if isinstance(error, KeysRefused) else ""
        self.add_error(field if field in self.fields else None, str(error))


class HistoryFilter(forms.Form):
    """Narrows what happened to a connection."""

    who = forms.ChoiceField(required=False, label="Who", choices=[("", "Everybody"), *WHO.items()])
    what = forms.ChoiceField(required=False, label="What")
    before = forms.IntegerField(required=False, min_value=1, max_value=2**62, widget=forms.HiddenInput)

    def __init__(self, data: Any, kinds: list[tuple[str, str]]) -> None:
        super().__init__(data)
        what = self.fields["what"]
        assert isinstance(what, forms.ChoiceField)
        what.choices = [("", "Everything"), *kinds]


class LabelForm(forms.Form):
    label = forms.CharField(max_length=80, label="Name", help_text="What you call this connection.")


class PastedAddressForm(forms.Form):
    """For callbacks that lead to no page: the address the browser ended at."""

    address = forms.CharField(
        max_length=4000,
        label="Address you landed on",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="Copy the whole address from your browser's address bar. It works once, for about half a minute.",
    )

    def clean_address(self) -> str:
        address = str(self.cleaned_data["address"])
        try:
            urlsplit(address)
        except ValueError as error:
            raise forms.ValidationError("This is not a web address. Copy it once more, from https:// on.") from error
        return address


class DisconnectForm(forms.Form):
    """`only_erase` is for a connection that is left already: the one thing that can still happen to its history."""

    KEEP, ERASE = "keep", "erase"
    history = forms.ChoiceField(
        choices=[(KEEP, "Keep my history, read-only"), (ERASE, "Erase everything from this connection")],
        widget=forms.RadioSelect,
        initial=KEEP,
        label="What happens to its history?",
    )

    def __init__(self, data: Any = None, *, only_erase: bool = False) -> None:
        super().__init__(data)
        if only_erase:
            self.fields["history"].widget = forms.HiddenInput()
            self.initial["history"] = self.ERASE
