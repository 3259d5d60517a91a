"""What a person types or ticks about connections."""

from urllib.parse import urlsplit

from django import forms

from connections.brokers import BROKERS
from connections.brokers.records import AuthMethod


class ConnectForm(forms.Form):
    method = forms.ChoiceField(choices=[(method.value, entry.broker.label) for method, entry in BROKERS.items()])

    def clean_method(self) -> AuthMethod:
        return AuthMethod(self.cleaned_data["method"])


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
