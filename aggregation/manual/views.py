"""Pages on which a person keeps an account of their own: make it, say what it holds, write down, remove."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from aggregation.manual import keeping
from aggregation.manual.forms import AccountForm, CashForm, PositionForm, TransactionForm
from aggregation.models import Position, Source, Transaction
from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.htmx import HtmxRequest
from connections.models import Account

P = ParamSpec("P")
View = Callable[Concatenate[HtmxRequest, Account, P], HttpResponse]
NOT_YOURS_TO_SAY = "The broker says what this account holds; it cannot be changed by hand."
form_page = require_http_methods(["GET", "HEAD", "POST"])


def of_kept_account(view: View[P]) -> Callable[Concatenate[HtmxRequest, int, P], HttpResponse]:
    """Hand the view the person's own account. One that a broker keeps leads back to its page, with the reason."""

    @login_required
    @form_page
    @wraps(view)
    def wrapped(request: HtmxRequest, account_id: int, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        own = Account.objects.for_user(request.user).select_related("connection__user")
        account = get_object_or_404(own, pk=account_id)
        if not keeping.may_keep(account):
            messages.warning(request, NOT_YOURS_TO_SAY)
            return redirect("aggregation:account", account.pk)
        return view(request, account, *args, **kwargs)

    return wrapped  # type: ignore[return-value]  # the decorators around it lose the parameters


def _form(request: HtmxRequest, form: forms.Form, **context: Any) -> HttpResponse:
    return TemplateResponse(request, "aggregation/manual/form.html", {"form": form, **context})


@login_required
@form_page
def new(request: HtmxRequest) -> HttpResponse:
    form = AccountForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        try:
            account = keeping.open_account(user=request.user, **form.cleaned_data)
        except NotAllowed as refusal:
            form.add_error("name", str(refusal))
        else:
            messages.success(request, f"{account.name} is there. Now say what it holds.")
            return redirect("aggregation:account", account.pk)
    return _form(request, form, title="Add an account by hand", button="Add the account")


@of_kept_account
def position(request: HtmxRequest, account: Account, instrument_id: int | None = None) -> HttpResponse:
    """Say what is held of one instrument, a new one or one that is held already."""
    row = None
    if instrument_id is not None:
        held = Position.objects.held().filter(account=account).select_related("instrument")
        row = get_object_or_404(held, instrument=instrument_id)
    initial = PositionForm.of(row) if row else {"currency": account.currency}
    form = PositionForm(request.POST or None, initial={"priced_on": timezone.localdate(), **initial})
    if request.method == "POST" and row and "close" in request.POST:
        keeping.close(account, row.instrument_id)
        messages.success(request, f"{row.instrument.title} is closed. Its row is kept.")
        return redirect("aggregation:account", account.pk)
    if request.method == "POST" and form.is_valid():
        keeping.hold(account, form.held(), instead_of=row.instrument_id if row else None)
        messages.success(request, "The position is saved.")
        return redirect("aggregation:account", account.pk)
    title = f"{row.instrument.title} in {account.name}" if row else f"Add a position to {account.name}"
    return _form(request, form, account=account, title=title, button="Save", may_close=row is not None)


@of_kept_account
def cash(request: HtmxRequest, account: Account) -> HttpResponse:
    form = CashForm(request.POST or None, initial={"currency": account.currency})
    if request.method == "POST" and form.is_valid():
        keeping.set_cash(account, currency=form.cleaned_data["currency"], amount=form.cleaned_data["amount"])
        messages.success(request, "The cash is saved.")
        return redirect("aggregation:account", account.pk)
    return _form(request, form, account=account, title=f"Cash in {account.name}", button="Save")


@of_kept_account
def write_down(request: HtmxRequest, account: Account) -> HttpResponse:
    initial = {"currency": account.currency, "traded_on": timezone.localdate()}
    form = TransactionForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        follow = form.cleaned_data["follow"]
        keeping.write_down(account, form.record(), also_change_holdings=follow)
        messages.success(request, "The transaction is written down.")
        return redirect("aggregation:account", account.pk)
    return _form(request, form, account=account, title=f"Write down a transaction in {account.name}", button="Save")


@login_required
@form_page
def correct(request: HtmxRequest, transaction_id: int) -> HttpResponse:
    """Correct a row that was written by hand; the row as it was is kept."""
    own = Transaction.objects.for_user(request.user).select_related("instrument", "account__connection")
    row = get_object_or_404(own.shown(), pk=transaction_id)
    if row.source != Source.MANUAL or not row.external_id or not keeping.may_keep(row.account):
        messages.warning(request, "Only what was written down by hand can be corrected by hand.")
        return redirect("aggregation:transaction", row.pk)
    form = TransactionForm(request.POST or None, initial=TransactionForm.of(row))
    del form.fields["follow"]
    if request.method == "POST" and form.is_valid():
        record = form.record(external_id=row.external_id)
        newer = keeping.write_down(row.account, record, also_change_holdings=False)
        messages.success(
            request, "Corrected. The row as it was is kept, and what the account holds stays as you said it."
        )
        return redirect("aggregation:transaction", newer.pk)
    return _form(request, form, account=row.account, title="Correct a transaction", button="Save")


@of_kept_account
def remove(request: HtmxRequest, account: Account) -> HttpResponse:
    """What would go, first; then it goes."""
    if not keeping.is_by_hand(account):
        messages.warning(request, "This account came with a file. Remove its connection to delete it.")
        return redirect("connections:detail", account.connection_id)
    if request.method == "POST":
        keeping.remove(account, user=request.user)
        messages.success(request, f"{account.name} and all that was in it are deleted.")
        return redirect("aggregation:accounts")
    counts = {name: count for name, count in keeping.remove_counts(account).items() if count}
    return TemplateResponse(request, "aggregation/manual/remove.html", {"account": account, "counts": counts})
