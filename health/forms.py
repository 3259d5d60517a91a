from typing import ClassVar

from django import forms

from health.models import AlertChoice


class AlertForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    class Meta:
        model = AlertChoice
        fields: ClassVar = ["mail_before", "mail_start", "mail_end", "show_banner"]
        labels: ClassVar = {
            "mail_before": "Mail me a day before",
            "mail_start": "Mail me when it begins",
            "mail_end": "Mail me when it is over",
            "show_banner": "Say so on every page, the day before and while it is on",
        }
