"""Reviewed edits: a price changes when somebody proposed it with a source and a date and somebody else agreed."""

from django.db import transaction
from django.utils import timezone

from brokerhub.kernel.errors import NotAllowed
from brokerhub.kernel.models import User
from comparison import price_words
from comparison.catalogue_models import CatalogueChange, Change, EditState, FactEdit, FeeRule


def check(edit: FactEdit) -> None:
    """Raises NotReadable when the engine could not compute with the proposal."""
    price_words.values_of(edit.model, edit.parameters, plan_name=edit.rule.plan.name if edit.rule.plan else "")


@transaction.atomic
def approve(edit: FactEdit, *, by: User) -> FeeRule:
    """Close the old rule on the day before, and put the new one in its place. Raises NotAllowed."""
    edit = FactEdit.objects.select_for_update().get(pk=edit.pk)
    if edit.state != EditState.PENDING:
        raise NotAllowed("This edit has been reviewed already.")
    others = User.objects.filter(is_staff=True, is_active=True).exclude(pk=by.pk)
    if edit.proposed_by_id == by.pk and others.exists():
        raise NotAllowed("Somebody else has to review your edit.")
    old = FeeRule.objects.select_for_update().get(pk=edit.rule_id)
    if old.valid_to is not None or (old.valid_from is not None and edit.starts_on <= old.valid_from):
        raise NotAllowed("The rule was replaced meanwhile; propose the edit again on its successor.")
    check(edit)
    before = {"model": old.model, "parameters": old.parameters, "as_of": old.as_of}
    FeeRule.objects.filter(pk=old.pk).update(valid_to=price_words.day_before(edit.starts_on))
    new = FeeRule.objects.create(
        broker_id=old.broker_id,
        plan_id=old.plan_id,
        item=old.item,
        mode=old.mode,
        condition=old.condition,
        model=edit.model,
        parameters=edit.parameters,
        source_id=edit.source_id,
        as_of=edit.as_of.isoformat(),
        confidence=edit.confidence,
        notes=edit.notes,
        valid_from=edit.starts_on,
        from_edit=edit,
    )
    _decide(edit, EditState.APPROVED, by)
    CatalogueChange.objects.create(
        by=by,
        origin=f"edit {edit.pk}",
        change=Change.CHANGED,
        what=str(old)[:200],
        before=before,
        after={"model": new.model, "parameters": new.parameters, "as_of": new.as_of, "source": edit.source.key},
    )
    return new


@transaction.atomic
def reject(edit: FactEdit, *, by: User) -> None:
    """Raises NotAllowed when it was reviewed already."""
    edit = FactEdit.objects.select_for_update().get(pk=edit.pk)
    if edit.state != EditState.PENDING:
        raise NotAllowed("This edit has been reviewed already.")
    _decide(edit, EditState.REJECTED, by)


def _decide(edit: FactEdit, state: EditState, by: User) -> None:
    edit.state, edit.reviewed_by, edit.reviewed_at = state, by, timezone.now()
    edit.save(update_fields=["state", "reviewed_by", "reviewed_at"])
