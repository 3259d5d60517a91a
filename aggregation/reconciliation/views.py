"""The page on which books and broker are held side by side, and what a person does there."""

from decimal import Decimal, InvalidOperation

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from aggregation import exports
from aggregation.account_aggregator import counted_accounts
from aggregation.models import Break, Correction, Transaction, TransferLink
from aggregation.reconciliation import comparing, fixes, transfers
from aggregation.reconciliation.causes import Cause
from aggregation.reconciliation.models import LinkState
from aggregation.reconciliation.standing import COLUMNS, exported, standing
from brokerhub.kernel.errors import HubError, NotAllowed
from brokerhub.kernel.htmx import HtmxRequest
from connections.models import Account


@login_required
@never_cache
@require_GET
def page(request: HtmxRequest) -> HttpResponse:
    return TemplateResponse(request, "aggregation/reconcile.html", {"standing": standing(request.user)})


@login_required
@require_GET
def export(request: HtmxRequest, suffix: str) -> HttpResponseBase:
    return exports.as_file(exported(request.user), COLUMNS, name="reconciliation", suffix=suffix)


@login_required
@require_POST
def see_to(request: HtmxRequest, break_id: int) -> HttpResponse:
    """Fix a break, ignore it, or heed it again."""
    found = get_object_or_404(Break.objects.for_user(request.user).select_related("account__connection"), pk=break_id)
    told = request.POST
    try:
        if told.get("do") == "ignore":
            fixes.ignore(found, user=request.user, why=told.get("why", ""), fingerprint=told.get("fingerprint", ""))
            messages.success(request, "Ignored until its figures change.")
        elif told.get("do") == "heed":
            fixes.heed([found])
            messages.success(request, "It is on the list again.")
        else:
            _fix(request, found)
    except HubError as error:
        messages.warning(request, str(error))
    return redirect(reverse("aggregation:reconcile") + f"#account-{found.account_id}")


def _fix(request: HtmxRequest, found: Break) -> None:
    """`do` names the finding and its fix by their numbers: "0-1". Raises NotAllowed."""
    finding, _, fix = request.POST.get("do", "").partition("-")
    if not (finding.isascii() and finding.isdigit() and fix.isascii() and fix.isdigit()):
        raise Http404("no such fix")
    correction = fixes.apply(
        found,
        finding=int(finding),
        fix=int(fix),
        user=request.user,
        fingerprint=request.POST.get("fingerprint", ""),
        cost=_cost(request.POST.get("cost", "")),
    )
    found.refresh_from_db()
    if correction is None:
        words = "It agrees again." if found.resolved_at else "The broker is asked for these days again. Look back soon."
        messages.success(request, words)
        return
    words = "Done, and it agrees." if found.resolved_at else "Done. A part is still open."
    messages.success(request, f"{words} You can take it back below.")


def _cost(text: str) -> Decimal | None:
    """Raises NotAllowed for what is no cost."""
    if not text.strip():
        return None
    try:
        cost = Decimal(text.strip().replace(",", "."))
    except InvalidOperation as error:
        raise NotAllowed("The cost per unit is not a number. Write it like 91.20, or leave it empty.") from error
    if not cost.is_finite() or not 0 <= cost < Decimal(10) ** 12:
        raise NotAllowed("The cost per unit is not a price. Write it like 91.20, or leave it empty.")
    return cost


@login_required
@require_POST
def see_to_account(request: HtmxRequest, account_id: int) -> HttpResponse:
    """Book all of one cause, or compare anew."""
    account = get_object_or_404(Account.objects.for_user(request.user).select_related("connection"), pk=account_id)
    try:
        cause = request.POST.get("cause", "")
        if cause in Cause.values:
            correction = fixes.apply_all(account, Cause(cause), user=request.user)
            messages.success(request, f"{len(correction.booked)} rows booked. You can take them back below.")
        else:
            comparing.compare(account)
            messages.success(request, f"{account} was compared.")
    except HubError as error:
        messages.warning(request, str(error))
    return redirect(reverse("aggregation:reconcile") + f"#account-{account.pk}")


@login_required
@require_POST
def compare_all(request: HtmxRequest) -> HttpResponse:
    for account in counted_accounts(request.user).select_related("connection"):
        comparing.compare(account)
    messages.success(request, "Everything was compared.")
    return redirect("aggregation:reconcile")


@login_required
@require_POST
def take_back(request: HtmxRequest, correction_id: int) -> HttpResponse:
    own = Correction.objects.for_user(request.user).select_related("account")
    correction = get_object_or_404(own, pk=correction_id)
    try:
        fixes.undo(correction, user=request.user)
        messages.success(request, "The correction is taken back.")
    except HubError as error:
        messages.warning(request, str(error))
    return redirect(reverse("aggregation:reconcile") + f"#account-{correction.account_id}")


@login_required
@require_POST
def see_to_transfer(request: HtmxRequest, link_id: int) -> HttpResponse:
    """Confirm that two legs are one transfer, or part them."""
    link = get_object_or_404(TransferLink.objects.for_user(request.user), pk=link_id)
    wish = LinkState.CONFIRMED if request.POST.get("do") == "confirm" else LinkState.REJECTED
    try:
        transfers.decide(link, state=wish, user=request.user)
        together = wish == LinkState.CONFIRMED
        messages.success(request, "Confirmed." if together else "These are two transfers from now on.")
    except HubError as error:
        messages.warning(request, str(error))
    return redirect(reverse("aggregation:reconcile") + "#transfers")


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def possible_transfers(request: HtmxRequest) -> HttpResponse:
    """Pairs of which the hub cannot tell whether they are one transfer: the person says so, or that they are two."""
    if request.method == "POST":
        own = Transaction.objects.for_user(request.user).in_books()
        outgoing, incoming = (get_object_or_404(own, pk=_id(request, name)) for name in ("outgoing", "incoming"))
        try:
            if request.POST.get("do") == "link":
                transfers.confirm(outgoing=outgoing, incoming=incoming, user=request.user)
                messages.success(request, "These are one transfer from now on.")
            else:
                transfers.part(outgoing=outgoing, incoming=incoming, user=request.user)
                messages.success(request, "These are two. They are not shown again.")
        except HubError as error:
            messages.warning(request, str(error))
        return redirect("aggregation:possible-transfers")
    context = {"pairs": transfers.undecided(request.user), "shown": transfers.SHOWN}
    return TemplateResponse(request, "aggregation/possible_transfers.html", context)


def _id(request: HtmxRequest, name: str) -> int:
    text = request.POST.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
