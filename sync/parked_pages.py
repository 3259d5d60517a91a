"""Rows that no rule understands, and the rules a person makes for them."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from brokerhub.kernel.htmx import HtmxRequest
from connections.brokers.records import Broker, TransactionKind
from sync import rereading, word_rules
from sync.models import ParkedRow, WordRule
from sync.parking import shown
from sync.word_rules import Applied, NotReadable


class RuleForm(forms.Form):
    field = forms.ChoiceField(label="Always when")
    kind = forms.ChoiceField(label="treat it as", choices=[(kind.value, kind.label) for kind in word_rules.KINDS])

    def __init__(self, *args: Any, words: dict[str, str], **options: Any) -> None:
        super().__init__(*args, **options)
        choices = [(name, f"{name} is “{word}”") for name, word in words.items()]
        self.fields["field"].choices = choices  # type: ignore[attr-defined]


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def row(request: HtmxRequest, row_id: int) -> HttpResponse:
    """One parked row, and the rule that would book it and its like."""
    rows = ParkedRow.objects.for_user(request.user).select_related("account__connection", "run")
    parked = get_object_or_404(rows, pk=row_id)
    words = word_rules.words_of(parked)
    form = RuleForm(request.POST or None, words=words)
    if request.method == "POST" and form.is_valid():
        kind = TransactionKind(form.cleaned_data["kind"])
        try:
            rule, applied = word_rules.remember(request.user, parked, field=form.cleaned_data["field"], kind=kind)
            messages.success(request, _said(rule, applied))
            return redirect("sync:parked")
        except NotReadable as error:
            form.add_error(None, str(error))
    context = {"row": parked, "raw": shown(parked), "form": form if words else None, "read": _read(parked, words)}
    return TemplateResponse(request, "sync/parked_row.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def forget(request: HtmxRequest, rule_id: int) -> HttpResponse:
    """Rows booked by the rule stay in the books; new ones wait again. With `put_back` files that were read again for
    its sake are taken back, and what they corrected is "other" as before."""
    rule = get_object_or_404(WordRule.objects.for_user(request.user), pk=rule_id)
    if "put_back" in request.POST:
        rereading.put_back(rule, actor=request.user)
        messages.success(request, "The rule is forgotten, and the rows it corrected are “other” again.")
    else:
        messages.success(request, "The rule is forgotten. What it has booked stays.")
    rule.delete()
    return redirect("sync:parked")


@login_required
@require_POST
def reread(request: HtmxRequest, rule_id: int) -> HttpResponse:
    """Give rows that files told before the rule was made the kind it says."""
    runs = rereading.reread(get_object_or_404(WordRule.objects.for_user(request.user), pk=rule_id))
    if len(runs) == 1:
        return redirect("sync:run", run_id=runs[0].pk)
    messages.success(request, f"{len(runs)} files are read again, each by an import of its own.")
    return redirect("sync:list")


def _said(rule: WordRule, applied: Applied) -> str:
    kind = TransactionKind(rule.kind).label.lower()
    done = (
        f"“{rule.word}” is always {kind} from now on. {applied.booked} row{'' if applied.booked == 1 else 's'} booked."
    )
    return f"{done} {len(applied.left)} still wait: {applied.left[0]}" if applied.left else done


def _read(parked: ParkedRow, words: dict[str, str]) -> Any:
    """What would be booked, for the person to check; None where it cannot be read."""
    try:
        broker = Broker(parked.account.connection.broker)
        return word_rules.reading(broker, parked, TransactionKind.FEE) if words else None
    except NotReadable:
        return None
