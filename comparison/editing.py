"""Reviewed edits: a fact changes when somebody proposed it with a source and a date and somebody else agreed."""

from datetime import datetime
from typing import Any, TypeVar

from django.db import transaction
from django.utils import timezone

from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from comparison import document, price_words
from comparison.catalogue_models import (
    BenchmarkValue,
    CatalogueChange,
    Change,
    Dated,
    EditState,
    FactEdit,
    FeeRule,
    PlanFeature,
    RegulatoryFee,
)
from comparison.price_words import NotReadable

Row = TypeVar("Row", PlanFeature, RegulatoryFee, BenchmarkValue)
SAID = ("model", "parameters", "value", "detail", "on", "effective_from", "effective_to", "as_of")
REPLACED = "The fact was replaced meanwhile; propose the edit again on its successor."


def check(edit: FactEdit) -> None:
    """Raises NotReadable when the engine could not compute with the proposal."""
    if edit.answer is None and edit.starts_on is None:
        raise NotReadable("say from which day it holds")
    if edit.rule is not None:
        price_words.values_of(edit.model, edit.parameters, plan_name=edit.rule.plan.name if edit.rule.plan else "")
    elif edit.answer is not None:
        kind = edit.answer.feature.kind
        if not document.fits(kind, edit.value):
            raise NotReadable(f"{edit.value!r} does not answer a question of the kind {kind}")
    elif edit.rate is not None:
        _check_rate(edit.rate.parameters, edit.parameters)
    elif not isinstance(edit.value, str):
        raise NotReadable("write the rate as text, in percent a year")
    else:
        price_words.number(edit.value)


def _check_rate(old: dict[str, Any], new: dict[str, Any]) -> None:
    """The same words as before, with other numbers: what a rate is about does not change."""
    if old.keys() != new.keys():
        raise NotReadable(f"the parameters of this rate are {', '.join(sorted(old))}")
    for name, value in new.items():
        is_number = isinstance(old[name], str) and old[name].replace(".", "").isdigit()
        if is_number and value is not None:
            price_words.number(value, name)
        elif type(value) is not type(old[name]):
            raise NotReadable(f"{name}: {value!r} is not like {old[name]!r}")


@transaction.atomic
def approve(edit: FactEdit, *, by: User) -> FeeRule | PlanFeature | RegulatoryFee | BenchmarkValue:
    """Close or retire the old fact and put the new one in its place. Raises NotAllowed or NotReadable."""
    edit = FactEdit.objects.select_for_update(of=("self",)).get(pk=edit.pk)
    if edit.state != EditState.PENDING:
        raise NotAllowed("This edit has been reviewed already.")
    others = User.objects.filter(is_staff=True, is_active=True).exclude(pk=by.pk)
    if edit.proposed_by_id == by.pk and others.exists():
        raise NotAllowed("Somebody else has to review your edit.")
    check(edit)
    before, what = _said(edit.fact), str(edit.fact)[:200]
    new = _successor(edit)
    _decide(edit, EditState.APPROVED, by)
    after = _said(new) | {"source": edit.source.key}
    CatalogueChange.objects.create(
        by=by, origin=f"edit {edit.pk}", change=Change.CHANGED, what=what, before=before, after=after
    )
    return new


def _said(row: Any) -> dict[str, Any]:
    found = {name: getattr(row, name) for name in SAID if hasattr(row, name)}
    return {name: value if isinstance(value, (dict, bool, int)) else str(value) for name, value in found.items()}


def _successor(edit: FactEdit) -> FeeRule | PlanFeature | RegulatoryFee | BenchmarkValue:
    if edit.rule_id is not None:
        return _new_rule(edit, FeeRule.objects.select_for_update().get(pk=edit.rule_id))
    now = timezone.now()
    if edit.answer_id is not None:
        answer = _retired(PlanFeature, edit.answer_id, now)
        same = {"plan_id": answer.plan_id, "feature_id": answer.feature_id}
        return PlanFeature.objects.create(**same, value=edit.value, detail=edit.detail, **_fact(edit))
    if edit.rate_id is not None:
        return _new_rate(edit, now)
    assert edit.reading_id is not None
    reading = _held(BenchmarkValue, edit.reading_id)
    if edit.starts_on is not None and reading.on == edit.starts_on.isoformat():
        _retired(BenchmarkValue, reading.pk, now)  # a correction, no new reading
    return BenchmarkValue.objects.create(
        benchmark=reading.benchmark,
        label=reading.label,
        on=edit.starts_on.isoformat() if edit.starts_on else "",
        value=price_words.number(edit.value),
        **_fact(edit),
    )


def _fact(edit: FactEdit) -> dict[str, Any]:
    return {
        "source_id": edit.source_id,
        "as_of": edit.as_of.isoformat(),
        "confidence": edit.confidence,
        "notes": edit.notes,
        "from_edit": edit,
    }


def _new_rule(edit: FactEdit, old: FeeRule) -> FeeRule:
    assert edit.starts_on is not None
    if old.valid_to is not None or (old.valid_from is not None and edit.starts_on <= old.valid_from):
        raise NotAllowed(REPLACED)
    FeeRule.objects.filter(pk=old.pk).update(valid_to=price_words.day_before(edit.starts_on))
    same = {name: getattr(old, name) for name in ("broker_id", "plan_id", "item", "mode", "condition")}
    values = {"model": edit.model, "parameters": edit.parameters, "valid_from": edit.starts_on}
    return FeeRule.objects.create(**same, **values, **_fact(edit))


def _new_rate(edit: FactEdit, now: datetime) -> RegulatoryFee:
    """The old rate ends on the day before: as a row of its own, because what was said before stays as it was."""
    assert edit.rate_id is not None
    assert edit.starts_on is not None
    old = _held(RegulatoryFee, edit.rate_id)
    if old.effective_from is not None and edit.starts_on < old.effective_from:
        raise NotAllowed("The new rate would begin before the one it follows.")
    _retired(RegulatoryFee, old.pk, now)
    same = {"key": old.key, "label": old.label}
    if edit.starts_on != old.effective_from:  # otherwise it is a correction
        RegulatoryFee.objects.create(
            **same,
            parameters=old.parameters,
            effective_from=old.effective_from,
            effective_to=price_words.day_before(edit.starts_on),
            source=old.source,
            as_of=old.as_of,
            confidence=old.confidence,
            reason=old.reason,
            notes=old.notes,
            from_edit=edit,
        )
    dates = {"effective_from": edit.starts_on, "effective_to": old.effective_to}
    return RegulatoryFee.objects.create(**same, parameters=edit.parameters, **dates, **_fact(edit))


def _held(model: type[Row], pk: int) -> Row:
    """Locked. Raises NotAllowed when it holds no more."""
    found = model._default_manager.select_for_update().get(pk=pk)
    if found.retired_at is not None:
        raise NotAllowed(REPLACED)
    return found


def _retired(model: type[Row], pk: int, now: datetime) -> Row:
    found = _held(model, pk)
    found.retired_at = now
    found.save(update_fields=["retired_at"])
    return found


@transaction.atomic
def reject(edit: FactEdit, *, by: User) -> None:
    """Raises NotAllowed when it was reviewed already."""
    edit = FactEdit.objects.select_for_update(of=("self",)).get(pk=edit.pk)
    if edit.state != EditState.PENDING:
        raise NotAllowed("This edit has been reviewed already.")
    _decide(edit, EditState.REJECTED, by)


def holds(fact: FeeRule | Dated) -> bool:
    """Whether it is the value of now, which alone can be edited."""
    return fact.valid_to is None if isinstance(fact, FeeRule) else fact.retired_at is None


def _decide(edit: FactEdit, state: EditState, by: User) -> None:
    edit.state, edit.reviewed_by, edit.reviewed_at = state, by, timezone.now()
    edit.save(update_fields=["state", "reviewed_by", "reviewed_at"])
