"""What can be asked of the transactions, on the page, in the export and in the API alike."""

from datetime import date
from decimal import Decimal
from typing import Any

import django_filters as filters
from django.db.models import Func, Q, QuerySet
from django.forms import DateInput, HiddenInput, TextInput
from django.http import Http404, HttpRequest

from aggregation.models import BookStatus, Delivery, Transaction, TransactionQuerySet, UserEdit
from aggregation.newest import NewestFirst
from aggregation.positions.choices import known_to, same_as
from brokerhub.kernel.models import User
from connections.brokers.records import Broker, TransactionKind
from connections.models import Account


def own_accounts(request: Any) -> QuerySet[Account]:
    """Of the person who asks; none while the API is being described, when nobody asks."""
    if request is None or not request.user.is_authenticated:
        return Account.objects.none()
    return Account.objects.for_user(request.user).select_related("connection").order_by("connection__label", "name")


class NumberedFilter(filters.NumberFilter):  # type: ignore[misc]
    """By a number of ours that a link carries; one that no row has finds nothing."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, widget=HiddenInput, **options)


class TransactionFilter(filters.FilterSet):  # type: ignore[misc]  # django-filter has no type hints
    account = filters.ModelChoiceFilter(queryset=own_accounts, empty_label="All accounts")
    broker = filters.ChoiceFilter(
        field_name="account__connection__broker", label="Broker", choices=Broker.choices, empty_label="All brokers"
    )
    kind = filters.ChoiceFilter(choices=TransactionKind.choices, empty_label="All kinds")
    since = filters.DateFilter("traded_on", "gte", label="From", widget=DateInput({"type": "date"}))
    until = filters.DateFilter("traded_on", "lte", label="To", widget=DateInput({"type": "date"}))
    symbol = filters.CharFilter("instrument__symbol", "iexact", label="Symbol", max_length=40)
    instrument = NumberedFilter(label="Instrument", method="by_instrument")  # a link from a position leads here
    run = NumberedFilter("run_id", label="Run")  # a link from a sync run leads here
    told_by = NumberedFilter(label="Told by run", method="by_teller")
    status = filters.ChoiceFilter(choices=BookStatus.choices, empty_label="Current rows")
    tag = filters.CharFilter(label="Tag", method="by_tag", max_length=40, widget=TextInput({"list": "own-tags"}))
    q = filters.CharFilter(label="Text", method="by_text", max_length=80)

    class Meta:
        model = Transaction
        fields = (
            "account",
            "broker",
            "kind",
            "since",
            "until",
            "symbol",
            "instrument",
            "run",
            "told_by",
            "status",
            "tag",
            "q",
        )

    def filter_queryset(self, queryset: TransactionQuerySet) -> TransactionQuerySet:
        """Rows that were replaced, taken back, split or told twice come only when a status or a run is asked for."""
        found: TransactionQuerySet = super().filter_queryset(queryset)
        asked = self.form.cleaned_data
        is_asked = asked.get("status") or asked.get("run") is not None or asked.get("told_by") is not None
        return found if is_asked else found.shown()

    def by_teller(self, found: TransactionQuerySet, _name: str, run: Decimal) -> TransactionQuerySet:
        """Rows that a run told, also those that were known before."""
        deliveries = Delivery.objects.filter(account__in=own_accounts(self.request).order_by(), run_id=run)
        told = deliveries.annotate(told=Func("rows", function="unnest")).values("told")
        return found.filter(pk__in=told)

    def by_text(self, found: TransactionQuerySet, _name: str, text: str) -> TransactionQuerySet:
        """Words of the description, the symbol's beginning, or words of one's own note or tags."""
        own = self._edits()
        noted = own.filter(Q(note__icontains=text) | Q(tags__overlap=_matching(own, text, whole=False)))
        return found.filter(
            Q(description__icontains=text)
            | Q(instrument__symbol__istartswith=text)
            | Q(pk__in=noted.values("transaction"))
        )

    def by_instrument(self, found: TransactionQuerySet, _name: str, number: Decimal) -> TransactionQuerySet:
        """Of this instrument, under all the names that are one to the person who asks."""
        chosen = known_to(self.request.user).filter(pk=int(number)).first()
        return found.none() if chosen is None else found.filter(instrument__in=same_as(self.request.user, chosen))

    def by_tag(self, found: TransactionQuerySet, _name: str, tag: str) -> TransactionQuerySet:
        """Rows with this tag, in large or small letters."""
        own = self._edits()
        return found.filter(pk__in=own.filter(tags__overlap=_matching(own, tag)).values("transaction"))

    def _edits(self) -> QuerySet[UserEdit]:
        return UserEdit.objects.filter(account__in=own_accounts(self.request).order_by())


def _matching(edits: QuerySet[UserEdit], text: str, *, whole: bool = True) -> list[str]:
    """Tags as they are written that are `text`, or that have it in them."""
    wanted = text.casefold()
    written = {tag for tags in edits.exclude(tags=[]).values_list("tags", flat=True) for tag in tags}
    return [tag for tag in written if (tag.casefold() == wanted if whole else wanted in tag.casefold())]


def own_tags(user: User) -> list[str]:
    """All tags the person uses, in order."""
    edits = UserEdit.objects.filter(account__connection__user=user).exclude(tags=[])
    return sorted({tag for tags in edits.values_list("tags", flat=True) for tag in tags}, key=str.casefold)


def newest_first(user: User, asked: TransactionFilter) -> NewestFirst:
    """What is asked for of the user's own: whose a row is, is settled by its account and needs no join.

    One query for the accounts, two more when a page is taken: keys, then rows.
    """
    chosen = asked.form.cleaned_data.get("account") if asked.form.is_valid() else None
    accounts = [chosen.pk] if chosen else list(Account.objects.for_user(user).values_list("pk", flat=True))
    return NewestFirst(asked.qs, accounts)


def position_asked(request: HttpRequest) -> tuple[date, int] | None:
    """Where to go on: ?after=2026-03-02_123, the date and id of the last row shown. A mangled one is no address."""
    on, _, pk = request.GET.get("after", "").partition("_")
    if not on:
        return None
    try:
        return date.fromisoformat(on), int(pk)
    except ValueError as error:
        raise Http404("no such place in the list") from error
