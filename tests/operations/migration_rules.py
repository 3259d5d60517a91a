"""What a migration may do while the release before it still runs: docs/operations.md, Upgrading without a pause.

A migration that breaks a rule for a reason says so in a module constant, `SAFE_BECAUSE = "..."`.
"""

from collections.abc import Iterator
from typing import Any

from django.db import NotSupportedError, connection
from django.db.migrations import Migration, operations
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import Field, UniqueConstraint
from django.db.models.fields import NOT_PROVIDED

GOES = (
    operations.RemoveField,
    operations.DeleteModel,
    operations.RenameField,
    operations.RenameModel,
    operations.AlterModelTable,
)
SCHEMA = (*GOES, operations.AddField, operations.AlterField, operations.CreateModel, operations.AddConstraint)
LOCKING = ("RENAME", "DROP COLUMN", "DROP TABLE", "SET NOT NULL", "TYPE ")


def broken(migration: Migration, before: ProjectState) -> list[str]:
    """Each rule it breaks, as a sentence. `before` is the state it starts from, and is not changed."""
    state, made, sentences = before.clone(), set[str](), list[str]()
    given = {type(each) for each in migration.operations}
    if operations.RunPython in given and given & set(SCHEMA):
        sentences.append("moves rows and changes tables in one transaction: make two migrations")
    for operation in migration.operations:
        after = state.clone()
        operation.state_forwards(migration.app_label, after)
        if isinstance(operation, operations.CreateModel):
            made.add(operation.name_lower)
        elif str(getattr(operation, "model_name", "")).lower() not in made:  # nobody uses a table made just now
            sentences += _broken(operation, migration.app_label, state, after)
        state = after
    return sentences


def _broken(operation: Operation, app: str, before: ProjectState, after: ProjectState) -> Iterator[str]:
    match operation:
        case operations.AddField(field=field, name=name) if _must_be_given(field):
            yield f"{name}: a column without null or db_default; the release before writes rows without it"
        case operations.AlterField(model_name=model, name=name):
            yield from _narrowed(name, _field(before, app, model, name), _field(after, app, model, name))
        case operations.AddIndex() if type(operation) is operations.AddIndex:
            yield f"{operation.index.name}: nobody can write meanwhile; take AddIndexConcurrently and atomic = False"
        case operations.AddConstraint(constraint=UniqueConstraint() as constraint):
            yield f"{constraint.name}: the release before may break it, and its index stops writes while it is made"
        case operations.AddConstraint(constraint=constraint) if type(operation) is operations.AddConstraint:
            yield f"{constraint.name}: reads the table under a lock; take AddConstraintNotValid and validate later"
        case operations.RunSQL(sql=sql):
            yield from _statements(str(sql).upper())
        case _ if isinstance(operation, GOES):
            yield f"{operation.describe()}: the release before still uses it; stop using it first, drop it in the next"


def _must_be_given(field: "Field[Any, Any]") -> bool:
    return not field.null and not field.many_to_many and field.db_default is NOT_PROVIDED


def _field(state: ProjectState, app: str, model: str, name: str) -> "Field[Any, Any]":
    found: Field[Any, Any] = state.apps.get_model(app, model)._meta.get_field(name)
    return found


def _narrowed(name: str, old: "Field[Any, Any]", new: "Field[Any, Any]") -> Iterator[str]:
    if old.null and not new.null:
        yield f"{name}: no null any more; the release before may write it"
    if new.unique and not old.unique:
        yield f"{name}: unique now; the release before may break it"
    try:
        types = old.db_type(connection), new.db_type(connection)
    except NotSupportedError:
        return
    shorter = (new.max_length or 0) < (old.max_length or 0) if "varchar" in f"{types[0]}{types[1]}" else True
    if types[0] != types[1] and shorter and types[1] != "text":
        yield f"{name}: {types[0]} becomes {types[1]}, which writes the whole table anew under a lock"


def _statements(sql: str) -> Iterator[str]:
    if "CREATE INDEX" in sql and "CONCURRENTLY" not in sql:
        yield "CREATE INDEX without CONCURRENTLY"
    if "ADD CONSTRAINT" in sql and "NOT VALID" not in sql and "USING INDEX" not in sql:
        yield "ADD CONSTRAINT without NOT VALID"
    yield from (f"{word.strip()} in SQL" for word in LOCKING if "ALTER" in sql and word in sql)
