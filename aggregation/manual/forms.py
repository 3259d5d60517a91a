"""What a person enters about an account they keep themselves."""

from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

from django import forms
from django.utils import timezone

from aggregation.manual.keeping import BY_HAND, Held
from aggregation.models import Position, Transaction
from aggregation.rates.names import NAMES, titled
from aggregation.serializers import plain
from brokerhub.kernel.models import User
from connections.brokers.records import (
    AccountKind,
    AssetClass,
    InstrumentRecord,
    TransactionKind,
    TransactionRecord,
)

K = TransactionKind
CLASSES = (
    AssetClass.EQUITY,
    AssetClass.ETF,
    AssetClass.FUND,
    AssetClass.MONEY_FUND,
    AssetClass.BOND,
    AssetClass.CRYPTO,
    AssetClass.OTHER,
)
KINDS = (
    K.BUY,
    K.SELL,
    K.DIVIDEND,
    K.INTEREST,
    K.DEPOSIT,
    K.WITHDRAWAL,
    K.FEE,
    K.TAX,
    K.TRANSFER_IN,
    K.TRANSFER_OUT,
    K.OTHER,
)
TRADES = {K.BUY, K.SELL}
OF_UNITS = {K.BUY, K.SELL, K.TRANSFER_IN, K.TRANSFER_OUT}
LEAVING = {K.WITHDRAWAL, K.FEE, K.TAX, K.TRANSFER_OUT, K.BUY}  # money, or for a sale and a transfer units
WORDS_LONG = 300


def currencies(*more: str) -> list[tuple[str, str]]:
    return [(code, titled(code)) for code in sorted({*NAMES, *more})]


def a_day(label: str, **options: Any) -> forms.DateField:
    return forms.DateField(label=label, widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"), **options)


def units(label: str, **options: Any) -> forms.DecimalField:
    return forms.DecimalField(label=label, max_digits=38, decimal_places=18, **options)


def money(label: str, **options: Any) -> forms.DecimalField:
    return forms.DecimalField(label=label, max_digits=28, decimal_places=10, **options)


class AccountForm(forms.Form):
    name = forms.CharField(max_length=40, help_text="As you call it: Savings, Pension.")
    institution = forms.CharField(max_length=25, required=False, label="Where it is", help_text="A bank or a broker.")
    currency = forms.ChoiceField(help_text="Its own currency; it may hold others.")
    kind = forms.ChoiceField(
        choices=[(AccountKind.CASH, "Cash"), (AccountKind.MARGIN, "Margin"), (AccountKind.UNKNOWN, "Something else")]
    )

    def __init__(self, *args: Any, user: User, **options: Any) -> None:
        super().__init__(*args, **options)
        field = self.fields["currency"]
        assert isinstance(field, forms.ChoiceField)
        field.choices, field.initial = currencies(user.currency), user.currency


class _OfInstrument(forms.Form):
    """What names an instrument; its currency is chosen once and stays."""

    symbol = forms.CharField(max_length=40, help_text="Its ticker, or a short name of your own.")
    asset_class = forms.ChoiceField(label="Kind of asset", choices=[(one.value, one.label) for one in CLASSES])
    name = forms.CharField(max_length=120, required=False)
    currency = forms.ChoiceField(choices=currencies())

    def clean_symbol(self) -> str:
        return " ".join(str(self.cleaned_data["symbol"]).upper().split())

    def instrument(self) -> InstrumentRecord:
        said = self.cleaned_data
        return InstrumentRecord(
            asset_class=AssetClass(said["asset_class"]),
            symbol=said["symbol"],
            currency=said["currency"],
            name=said["name"],
        )


class PositionForm(_OfInstrument):
    quantity = units("Units", help_text="Negative when sold short; 0 closes the position.")
    price = money("Price per unit", required=False, min_value=0)
    average_cost = money(
        "Average cost per unit", required=False, min_value=0, help_text="Empty when you do not know it."
    )
    priced_on = a_day("Price as of")

    @classmethod
    def of(cls, row: Position) -> dict[str, Any]:
        """Initial values: the position as it is said now."""
        instrument = row.instrument
        return {
            "symbol": instrument.symbol,
            "asset_class": instrument.asset_class,
            "name": instrument.name,
            "currency": row.currency,
            "quantity": plain(row.quantity),
            "price": plain(row.price),
            "average_cost": plain(row.average_cost),
            "priced_on": timezone.localdate(),
        }

    def clean_priced_on(self) -> Any:
        return _not_ahead(self.cleaned_data["priced_on"])

    def held(self) -> Held:
        said = self.cleaned_data
        return Held(
            instrument=self.instrument(),
            quantity=said["quantity"],
            price=said["price"],
            average_cost=said["average_cost"],
            at=moment_of(said["priced_on"]),
        )


class CashForm(forms.Form):
    currency = forms.ChoiceField(choices=currencies())
    amount = money("Cash", required=False, help_text="Negative when it is owed. Empty: there is none in this currency.")


class TransactionForm(forms.Form):
    """Amounts are entered as people say them, without a sign where the kind says which way they go."""

    kind = forms.ChoiceField(choices=[(kind.value, kind.label) for kind in KINDS])
    traded_on = a_day("Day")
    symbol = forms.CharField(max_length=40, required=False, help_text="Of what was bought, sold or paid for it.")
    asset_class = forms.ChoiceField(label="Kind of asset", choices=[(one.value, one.label) for one in CLASSES])
    quantity = units("Units", required=False, min_value=0)
    price = money("Price per unit", required=False, min_value=0)
    fees = money("Fees", required=False, min_value=0)
    taxes = money("Taxes", required=False, min_value=0)
    amount = money(
        "Amount of money",
        required=False,
        help_text="What the cash changed by, after fees and taxes. Worked out for a purchase or sale when left empty.",
    )
    currency = forms.ChoiceField(choices=currencies())
    description = forms.CharField(max_length=WORDS_LONG, required=False)
    follow = forms.BooleanField(
        required=False, initial=True, label="Also change what the account holds and its cash accordingly"
    )

    @classmethod
    def of(cls, row: Transaction) -> dict[str, Any]:
        """Initial values: the row as it was written."""
        return {
            "kind": row.kind,
            "traded_on": row.traded_on,
            "symbol": row.instrument.symbol if row.instrument else "",
            "asset_class": row.instrument.asset_class if row.instrument else AssetClass.EQUITY,
            "quantity": None if row.quantity is None else plain(abs(row.quantity)),
            "price": plain(row.price),
            "fees": plain(row.fees) if row.fees else None,
            "taxes": plain(row.taxes) if row.taxes else None,
            "amount": plain(-row.net_amount if K(row.kind) in LEAVING else row.net_amount),
            "currency": row.currency,
            "description": row.description,
        }

    def clean_traded_on(self) -> Any:
        return _not_ahead(self.cleaned_data["traded_on"])

    def clean_symbol(self) -> str:
        return " ".join(str(self.cleaned_data["symbol"]).upper().split())

    def clean(self) -> dict[str, Any]:
        said = super().clean() or self.cleaned_data
        kind = said.get("kind")
        if kind in OF_UNITS and kind in TRADES:
            if not said.get("symbol"):
                self.add_error("symbol", "Say what was bought or sold.")
            if not said.get("quantity"):
                self.add_error("quantity", "Say how many units.")
            if said.get("price") is None and said.get("amount") is None:
                self.add_error("price", "Give the price, or the amount of money.")
        elif said.get("amount") is None and not (kind in OF_UNITS and said.get("quantity")):
            self.add_error("amount", "Say how much money it was.")
        if said.get("quantity") and not said.get("symbol"):
            self.add_error("symbol", "Say of what these are units.")
        return said

    def record(self, *, external_id: str = "") -> TransactionRecord:
        said = self.cleaned_data
        kind = K(said["kind"])
        fees, taxes = said["fees"] or Decimal(0), said["taxes"] or Decimal(0)
        quantity = said["quantity"] if kind in OF_UNITS else None
        net = self._net(kind, fees + taxes)
        if quantity is not None and kind in {K.SELL, K.TRANSFER_OUT}:
            quantity = -quantity
        return TransactionRecord(
            external_id=external_id,
            kind=kind,
            traded_on=said["traded_on"],
            instrument=self._instrument(),
            quantity=quantity,
            price=said["price"],
            gross_amount=net + fees + taxes,
            fees=fees,
            taxes=taxes,
            net_amount=net,
            currency=said["currency"],
            description=said["description"],
            raw=BY_HAND,
        )

    def _net(self, kind: TransactionKind, costs: Decimal) -> Decimal:
        said = self.cleaned_data
        amount: Decimal | None = said["amount"]
        if amount is None and kind in TRADES:
            gross: Decimal = said["quantity"] * said["price"]
            return -(gross + costs) if kind is K.BUY else gross - costs
        amount = amount or Decimal(0)
        return -amount if kind in LEAVING else amount

    def _instrument(self) -> InstrumentRecord | None:
        said = self.cleaned_data
        if not said["symbol"]:
            return None
        return InstrumentRecord(
            asset_class=AssetClass(said["asset_class"]), symbol=said["symbol"], currency=said["currency"]
        )


def moment_of(day: Any) -> datetime:
    """Now for today, the end of the day for an earlier one, on the person's clock."""
    if day >= timezone.localdate():
        return timezone.now()
    zone = timezone.get_current_timezone()
    return datetime.combine(day, time(23, 59, 59), zone).astimezone(UTC)


def _not_ahead(day: Any) -> Any:
    if day > timezone.localdate():
        raise forms.ValidationError("This day is still to come.")
    return day
