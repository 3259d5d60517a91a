"""What belongs to a person, read from the models: every table that leads to them, with the way it does."""

from collections import deque
from functools import cache

from django.apps import apps
from django.db.models import CASCADE, ForeignKey, Model

from brokerhub.erasure.models import AccountDeletion
from brokerhub.kernel.models import User

# Operators' own log is handled by itself; the deletion is not part of what was there before it.
APART = {"admin.LogEntry", AccountDeletion._meta.label}


@cache
def ways() -> dict[type[Model], str]:
    """Each model whose rows go with a person, and its shortest way to them: {Account: "connection__user"}."""
    pointing: dict[type[Model], list[ForeignKey[Model, Model]]] = {}
    for model in apps.get_models(include_auto_created=True):
        for each in model._meta.concrete_fields:
            if isinstance(each, ForeignKey) and each.remote_field.on_delete is CASCADE:
                pointing.setdefault(each.related_model, []).append(each)
    found: dict[type[Model], str] = {}
    queue: deque[type[Model]] = deque([User])
    while queue:
        owner = queue.popleft()
        for each in sorted(pointing.get(owner, []), key=lambda each: each.null):
            if each.model is not User and each.model not in found and each.model._meta.label not in APART:
                found[each.model] = f"{each.name}__{found[owner]}" if owner in found else each.name
                queue.append(each.model)
    return found


def held(user: User) -> dict[str, int]:
    """Rows of each table that are this person's, those with any; by what the table is called, most rows first."""
    counts: dict[str, int] = {}
    for model, way in ways().items():
        if rows := model._base_manager.filter(**{way: user}).count():
            name = str(model._meta.verbose_name_plural)
            counts[name] = counts.get(name, 0) + rows
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))
