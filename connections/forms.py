"""What a person types or ticks about connections."""

from typing import Any
from urllib.parse import urlsplit

from django import forms

from connections.brokers import BrokerEntry, offered
from connections.brokers.records import AuthMethod


class ConnectForm(forms.Form):
    method = forms.ChoiceField(choices=lambda: [(entry.method.value, entry.broker.label) for entry in offered()])

    def clean_method(self) -> AuthMethod:
        return AuthMethod(self.cleaned_data["method"])


class KeysForm(forms.Form):
    """The keys of one way to connect; what is secret is never written back into the page."""

    def __init__(self, entry: BrokerEntry, data: Any = None) -> None:
        super().__init__(data)
        for field in entry.fields:
            look = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
            kind = forms.Textarea if field.is_long else forms.PasswordInput if field.is_secret else forms.TextInput
            self.fields[field.name] = forms.CharField(
                label=field.label, help_text=field.help, max_length=8000, widget=kind(attrs=look)
            )


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
    KEEP, ERASE = "keep", "erase"
    history = forms.ChoiceField(
        choices=[(KEEP, "Keep my history, read-only"), (ERASE, "Erase everything from this connection")],
        widget=forms.RadioSelect,
        initial=KEEP,
        label="What happens to its history?",
    )
