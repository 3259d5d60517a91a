"""What can be asked of lots, gains and income: on the pages, in the exports and in the API alike."""

from dataclasses import dataclass
from typing import Any

from django import forms

from aggregation.lots.words import Method
from aggregation.rates.choice import choices
from brokerhub.kernel.models import User
from connections.brokers.records import Broker
from connections.models import Account


@dataclass(frozen=True, slots=True)
class Asked:
    """`year` None: all years. `accounts` are the user's own that fit, which may be none of them."""

    accounts: list[Account]
    currency: str
    method: Method
    year: int | None


class AskingForm(forms.Form):
    account = forms.ModelChoiceField(Account.objects.none(), required=False, empty_label="All accounts")
    broker = forms.ChoiceField(choices=[("", "All brokers"), *Broker.choices], required=False)
    method = forms.ChoiceField(choices=Method.choices, required=False, label="Lots are sold")
    year = forms.IntegerField(required=False, min_value=1970, max_value=9999)
    currency = forms.ChoiceField(required=False)

    def __init__(self, given: Any, user: User) -> None:
        super().__init__(given)
        self.user = user
        own = Account.objects.for_user(user).select_related("connection").defer("connection__sealed_credentials")
        self.own = list(own.order_by("connection__label", "name", "pk"))
        chosen: Any = self.fields["account"]
        chosen.queryset = own
        currencies: Any = self.fields["currency"]
        currencies.choices = [("", f"{user.currency}, your own"), *choices(user)]
        chosen.choices = [("", "All accounts"), *((account.pk, str(account)) for account in self.own)]

    def asked(self) -> Asked:
        """Of a valid form. A field left empty asks for everything, and for the person's own currency."""
        given = self.cleaned_data
        accounts = [
            account
            for account in self.own
            if (not given["account"] or given["account"].pk == account.pk)
            and (not given["broker"] or given["broker"] == account.connection.broker)
        ]
        return Asked(
            accounts, given["currency"] or self.user.currency, Method(given["method"] or Method.FIFO), given["year"]
        )
