"""What a person types about a corporate action. Which fields a kind needs is said where one is missing."""

import re
from datetime import date
from decimal import Decimal
from typing import Any, cast

from django import forms
from django.db.models import Exists, OuterRef
from django.utils import timezone

from aggregation.corporate_actions.models import ActionKind, CorporateAction
from aggregation.instruments import resolve
from aggregation.models import Instrument, Transaction
from brokerhub.kernel.models import User
from connections.brokers.records import AssetClass, InstrumentRecord

SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9.\-]{0,14}")
NUMBER: dict[str, Any] = {"required": False, "max_digits": 24, "decimal_places": 10, "min_value": Decimal("1e-10")}
NEEDED = {
    ActionKind.SPLIT: ("new",),
    ActionKind.SPIN_OFF: ("received_symbol", "new"),
    ActionKind.MERGER: (),
    ActionKind.RENAME: ("received_symbol",),
}
EARLIEST = date(1970, 1, 1)


class CorporateActionForm(forms.Form):
    kind = forms.ChoiceField(label="What happened", choices=ActionKind.choices)
    instrument = forms.ModelChoiceField(Instrument.objects.none(), label="To which holding", empty_label="Choose")
    on = forms.DateField(
        label="First day on which it holds", widget=forms.DateInput({"type": "date"}), help_text="The ex-date."
    )
    new = forms.DecimalField(label="New units", help_text="2 in a split of 2 for 1.", **NUMBER)
    old = forms.DecimalField(label="For so many old ones", help_text="1 in a split of 2 for 1.", **NUMBER)
    received_symbol = forms.CharField(
        label="Symbol received", required=False, max_length=15, help_text="Of the spun-off, merged or renamed share."
    )
    cost_share = forms.DecimalField(
        label="Share of the cost, in percent", required=False, min_value=Decimal(0), max_value=Decimal(100),
        max_digits=12, decimal_places=8, help_text="Spin-off: the part of your cost that goes with it.",
    )  # fmt: skip
    cash_per_unit = forms.DecimalField(label="Cash per old unit", help_text="Merger: paid beside shares.", **NUMBER)
    value_per_unit = forms.DecimalField(
        label="Value of a new unit that day", help_text="Merger for shares and cash: to know the gain.", **NUMBER
    )
    fraction_price = forms.DecimalField(
        label="Cash in lieu, per whole new unit", help_text="Empty: you keep fractions.", **NUMBER
    )

    def __init__(self, given: Any = None, *, user: User) -> None:
        super().__init__(given)
        self.user = user
        own = Transaction.objects.in_books().filter(account__connection__user=user, instrument=OuterRef("pk"))
        choices = cast(Any, self.fields["instrument"])
        choices.queryset = Instrument.objects.filter(Exists(own)).order_by("symbol", "pk")

    def clean_on(self) -> date:
        on: date = self.cleaned_data["on"]
        if not EARLIEST <= on <= timezone.localdate():
            raise forms.ValidationError("Enter it on its day, or later.")
        return on

    def clean_received_symbol(self) -> str:
        symbol: str = self.cleaned_data["received_symbol"].strip().upper()
        if symbol and not SYMBOL.fullmatch(symbol):
            raise forms.ValidationError("A symbol has letters, digits and dots, such as BRK.B.")
        return symbol

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        kind = given.get("kind")
        if kind not in ActionKind.values:
            return given
        for name in NEEDED[ActionKind(kind)]:
            if not given.get(name) and name not in self.errors:
                self.add_error(name, "This is needed.")
        if kind == ActionKind.MERGER and not given.get("cash_per_unit"):
            for name in ("received_symbol", "new"):
                if not given.get(name) and name not in self.errors:
                    self.add_error(name, "Say what was received, or the cash.")
        instrument, symbol = given.get("instrument"), given.get("received_symbol")
        if kind != ActionKind.SPLIT and instrument is not None and symbol == instrument.symbol:
            self.add_error("received_symbol", "This is the holding itself.")
        if kind == ActionKind.SPLIT and given.get("new") and given["new"] == (given.get("old") or 1):
            self.add_error("new", "This changes nothing.")
        return given

    def action(self) -> CorporateAction:
        """Unsaved, of a valid form. What was received is made known as an instrument when it is not yet."""
        given, kind = self.cleaned_data, ActionKind(self.cleaned_data["kind"])
        instrument: Instrument = given["instrument"]
        symbol = given["received_symbol"] if kind is not ActionKind.SPLIT else ""
        share = given["cost_share"]
        return CorporateAction(
            user=self.user,
            kind=kind,
            instrument=instrument,
            received=_received(instrument, symbol) if symbol else None,
            on=given["on"],
            new=given["new"],
            old=given["old"] or Decimal(1),
            cost_share=share / 100 if share is not None and kind is ActionKind.SPIN_OFF else None,
            cash_per_unit=given["cash_per_unit"] if kind is ActionKind.MERGER else None,
            value_per_unit=given["value_per_unit"] if kind is ActionKind.MERGER else None,
            fraction_price=given["fraction_price"],
            currency=instrument.currency,
        )


def _received(of: Instrument, symbol: str) -> Instrument:
    record = InstrumentRecord(asset_class=AssetClass(of.asset_class), symbol=symbol, currency=of.currency)
    return Instrument.objects.get(pk=resolve([record])[record])
