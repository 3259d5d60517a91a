from typing import ClassVar

from django import forms

from health.models import AlertChoice


class AlertForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    class Meta:
        model = AlertChoice
        fields: ClassVar = ["mail_before", "mail_start", "mail_end", "show_banner"]
