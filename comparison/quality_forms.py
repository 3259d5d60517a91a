"""What a reader of the execution quality page may choose."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from django import forms

from comparison.execution_quality import MOST_COLUMNS, Choice, Publisher, months
from comparison.rule605 import OrderSize, StatOrder
from comparison.rule606 import Section

USUAL_SIZE = ("", "Usual size of each report")


class QualityForm(forms.Form):
    """Every field may be left out; one that is wrong counts as left out, and says why."""

    publisher = forms.MultipleChoiceField(
        label=f"Side by side, up to {MOST_COLUMNS}", required=False, widget=forms.CheckboxSelectMultiple
    )
    section = forms.ChoiceField(label="Stocks or options", choices=Section.choices, required=False)
    order = forms.ChoiceField(label="Kind of orders", choices=StatOrder.choices, required=False)
    size = forms.ChoiceField(label="Size of orders", choices=[USUAL_SIZE, *OrderSize.choices], required=False)
    month = forms.ChoiceField(label="Month", required=False)

    def __init__(self, data: Any, known: Sequence[Publisher], catalogue: Sequence[Publisher]) -> None:
        super().__init__(data)
        self.choose("publisher", [(publisher.key, publisher.name) for publisher in known])
        covered = [(f"{month:%Y-%m}", f"{month:%B %Y}") for month in months([*known, *catalogue])]
        self.choose("month", [("", "Newest of each"), *covered])

    def choose(self, name: str, choices: Sequence[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def clean_publisher(self) -> list[str]:
        chosen: list[str] = self.cleaned_data["publisher"]
        if len(chosen) > MOST_COLUMNS:
            raise forms.ValidationError(f"Choose up to {MOST_COLUMNS}; more do not fit side by side.")
        return chosen

    def choice(self) -> Choice:
        self.full_clean()
        said = self.cleaned_data
        return Choice(
            publishers=tuple(said.get("publisher") or ()),
            section=Section(said.get("section") or Section.SP500),
            order=StatOrder(said.get("order") or StatOrder.MARKET),
            size=OrderSize(said["size"]) if said.get("size") else None,
            month=date.fromisoformat(f"{said['month']}-01") if said.get("month") else None,
        )
