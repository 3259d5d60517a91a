"""What can be asked of the transactions, on the page, in the export and in the API alike."""

from typing import Any

import django_filters as filters
from django.db.models import Q, QuerySet
from django.forms import DateInput, HiddenInput

from aggregation.models import NOT_SHOWN, BookStatus, Transaction, TransactionQuerySet
from aggregation.newest import NewestFirst
from brokerhub.kernel.models import User
from connections.brokers.records import Broker, TransactionKind
from connections.models import Account

SHOWN_STATUSES = [choice for choice in BookStatus.choices if choice[0] not in NOT_SHOWN]


def own_accounts(request: Any) -> QuerySet[Account]:
    """Of the person who asks; none while the API is being described, when nobody asks."""
    if request is None or not request.user.is_authenticated:
        return Account.objects.none()
    return Account.objects.for_user(request.user).select_related("connection").order_by("connection__label", "name")


class TransactionFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter has no type hints
    account = filters.ModelChoiceFilter(queryset=own_accounts, empty_label="All accounts")
    broker = filters.ChoiceFilter(
        field_name="account__connection__broker", label="Broker", choices=Broker.choices, empty_label="All brokers"
    )
    kind = filters.ChoiceFilter(choices=TransactionKind.choices, empty_label="All kinds")
    since = filters.DateFilter("traded_on", "gte", label="From", widget=DateInput({"type": "date"}))
    until = filters.DateFilter("traded_on", "lte", label="To", widget=DateInput({"type": "date"}))
    symbol = filters.CharFilter("instrument__symbol", "iexact", label="Symbol", max_length=40)
    run = filters.NumberFilter("run_id", label="Run", widget=HiddenInput)  # a link from a sync run leads here
    status = filters.ChoiceFilter(choices=SHOWN_STATUSES, empty_label="Any status")
    q = filters.CharFilter(label="Text", method="by_text", max_length=80)

    class Meta:
        model = Transaction
        fields = ("account", "broker", "kind", "since", "until", "symbol", "run", "status", "q")

    def by_text(self, found: TransactionQuerySet, _name: str, text: str) -> TransactionQuerySet:
        """Words of the description or the symbol's beginning."""
        return found.filter(Q(description__icontains=text) | Q(instrument__symbol__istartswith=text))


def newest_first(user: User, asked: TransactionFilter) -> NewestFirst:
    """What is asked for of the user's own: whose a row is, is settled by its account and needs no join.

    One query for the accounts, two more when a page is taken: keys, then rows.
    """
    chosen = asked.form.cleaned_data.get("account") if asked.form.is_valid() else None
    accounts = [chosen.pk] if chosen else list(Account.objects.for_user(user).values_list("pk", flat=True))
    return NewestFirst(asked.qs, accounts)
