"""What a person chooses about imports."""

from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from brokerhub.kernel.models import User
from connections.models import Account
from sync.imports import importable_accounts


class AccountChoice(forms.ModelChoiceField):  # type: ignore[type-arg]  # not subscriptable at run time
    def label_from_instance(self, account: Any) -> str:
        return f"{account} ({account.connection.label})"


class ImportForm(forms.Form):
    file = forms.FileField(
        label="File",
        help_text="The CSV, OFX or QFX file as your broker exported it, up to 20 MB. Do not save it again in a "
        "spreadsheet first.",
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.txt,.ofx,.qfx,.xml,text/csv"}),
    )
    account = AccountChoice(
        queryset=Account.objects.none(),
        required=False,
        label="Account",
        empty_label="A new account, kept by file",
        help_text="The account the file was exported from.",
    )
    account_name = forms.CharField(
        max_length=120, required=False, label="Name of the new account", help_text="Only for a new account."
    )

    def __init__(self, *args: Any, user: User, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["account"].queryset = importable_accounts(user)  # type: ignore[attr-defined]

    def clean_file(self) -> "UploadedFile[bytes]":
        file: UploadedFile[bytes] = self.cleaned_data["file"]
        if (file.size or 0) > settings.UPLOAD_MAX_BYTES:
            raise forms.ValidationError("The file is larger than 20 MB. Export a shorter period, import it in parts.")
        return file

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if "account" in values and not values["account"] and not values.get("account_name", "").strip():
            self.add_error("account_name", "Give the new account a name, or choose one of your accounts.")
        return values
