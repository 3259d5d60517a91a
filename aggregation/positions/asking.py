"""What may be asked of the table of positions, on the page, in its files and in the API alike."""

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import HttpRequest, QueryDict

from aggregation.filters import own_accounts
from aggregation.positions.entries import CLASSES
from aggregation.positions.table import GROUP_LABELS, SIDES, SORTS, Asked
from connections.brokers.records import Broker
from connections.models import Account


def _any(label: str, choices: dict[str, str]) -> list[tuple[str, str]]:
    return [("", label), *choices.items()]


class PositionFilter(forms.Form):
    """Which positions. Group, order and currency ride along unseen, so that narrowing keeps them."""

    q = forms.CharField(label="Search", max_length=80, required=False, widget=forms.TextInput({"type": "search"}))
    account = forms.ModelChoiceField(Account.objects.none(), required=False, empty_label="All accounts")
    broker = forms.ChoiceField(choices=_any("All brokers", dict(Broker.choices)), required=False)
    asset_class = forms.ChoiceField(label="Class", choices=_any("All classes", CLASSES), required=False)
    held_in = forms.RegexField("[A-Z]{3}", label="Held in", required=False)
    side = forms.ChoiceField(label="Long or short", choices=_any("Both", SIDES), required=False)
    group = forms.CharField(required=False, widget=forms.HiddenInput)
    sort = forms.CharField(required=False, widget=forms.HiddenInput)
    currency = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, request: HttpRequest, currencies: list[str]) -> None:
        """`currencies` are those something is held in."""
        super().__init__(request.GET)
        self.fields["account"].queryset = own_accounts(request)  # type: ignore[attr-defined]
        choices = _any("All currencies", {currency: currency for currency in currencies})
        self.fields["held_in"].widget = forms.Select(choices=choices)

    @property
    def narrows(self) -> bool:
        return any(self.cleaned_data.get(name) for name in self.fields if name not in ("group", "sort", "currency"))

    def asked(self) -> Asked | None:
        """None when what is asked for does not exist; an unknown grouping or order is simply not followed."""
        if not self.is_valid():
            return None
        given = self.cleaned_data
        account = given["account"]
        return Asked(
            group=given["group"] if given["group"] in GROUP_LABELS else "",
            sort=given["sort"] if given["sort"].removeprefix("-") in SORTS else "-value",
            q=given["q"],
            account=account.pk if account else None,
            broker=given["broker"],
            asset_class=given["asset_class"],
            currency=given["held_in"],
            side=given["side"],
        )


def address(query: QueryDict, **changes: Any) -> str:
    """The same page with some of what is asked for changed; "" leaves it away."""
    asked = {name: value for name, value in query.items() if name in PositionFilter.base_fields and value}
    asked |= changes
    return "?" + urlencode({name: value for name, value in asked.items() if value not in ("", None)})
