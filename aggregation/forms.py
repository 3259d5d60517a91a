"""What a person writes about a row, and into what parts it is split."""

from typing import Any

from django import forms

from aggregation.edits import Part
from aggregation.models import Transaction


class EditForm(forms.Form):
    note = forms.CharField(max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 2}))
    tags = forms.CharField(max_length=400, required=False, help_text="Separated by commas.")

    def clean_tags(self) -> list[str]:
        return [tag for tag in self.cleaned_data["tags"].split(",") if tag.strip()]


class PartForm(forms.Form):
    net_amount = forms.DecimalField(max_digits=28, decimal_places=10, label="Amount", required=False)
    quantity = forms.DecimalField(max_digits=38, decimal_places=18, required=False)
    description = forms.CharField(max_length=300, required=False)

    def __init__(self, *args: Any, row: Transaction, **options: Any) -> None:
        super().__init__(*args, **options)
        if row.quantity is None:
            del self.fields["quantity"]

    def part(self) -> Part | None:
        """None when the line was left empty."""
        values = self.cleaned_data
        if values.get("net_amount") is None:
            return None
        return Part(net_amount=values["net_amount"], quantity=values.get("quantity"), description=values["description"])


PartForms = forms.formset_factory(PartForm, extra=4, max_num=20)
