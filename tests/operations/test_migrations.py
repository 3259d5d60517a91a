"""Migrations newer than the marked ones leave the release before them working, so that nobody has to be turned away."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import models
from django.db.migrations import Migration, operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from tests.operations.migration_rules import broken

# The newest of each app when the rules began: what stands before was made while nobody had a hub to keep running.
MARKED = {
    "aggregation": 13,
    "archive": 1,
    "hub": 1,
    "comparison": 7,
    "connections": 9,
    "health": 10,
    "identity": 1,
    "kernel": 4,
    "sync": 15,
    "webhooks": 1,
}


def newer() -> Iterator[tuple[Migration, ProjectState]]:
    loader = MigrationLoader(None)
    for key, migration in sorted(loader.disk_migrations.items()):
        app, name = key
        if migration.__module__.split(".")[0] in {"django", "allauth", "knox"} or "site-packages" in str(
            import_module(migration.__module__).__file__
        ):
            continue
        assert app in MARKED or name.startswith("0001"), f"{app} is new: put it on the list with 0"
        if int(name[:4]) > MARKED.get(app, 1):
            yield migration, loader.project_state([key], at_end=False)


def test_each_newer_migration_leaves_the_release_before_it_working() -> None:
    found = {
        str(migration): broken(migration, before)
        for migration, before in newer()
        if not getattr(import_module(migration.__module__), "SAFE_BECAUSE", "")
    }
    assert {name: sentences for name, sentences in found.items() if sentences} == {}


def test_every_app_on_the_list_is_there() -> None:
    assert set(MARKED) <= {app for app, _ in MigrationLoader(None).disk_migrations}


@pytest.fixture
def before() -> ProjectState:
    state = ProjectState()
    fields: list[tuple[str, models.Field[Any, Any]]] = [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=20)),
        ("note", models.CharField(max_length=20, null=True)),
    ]
    operations.CreateModel("Thing", fields).state_forwards("shop", state)
    return state


def wrong(before: ProjectState, *steps: Any) -> list[str]:
    return broken(type("Migration", (Migration,), {"operations": list(steps)})("0002_next", "shop"), before)


AN_INDEX = models.Index(fields=["name"], name="by_name")
POSITIVE = models.CheckConstraint(condition=models.Q(id__gt=0), name="positive")
TEXT = models.TextField()


@pytest.mark.parametrize(
    "step",
    [
        operations.RemoveField("thing", "note"),
        operations.RenameField("thing", "note", "remark"),
        operations.DeleteModel("Thing"),
        operations.RenameModel("Thing", "Item"),
        operations.AddField("thing", "colour", models.CharField(max_length=9, default="red")),
        operations.AddIndex("thing", AN_INDEX),
        operations.AddConstraint("thing", models.UniqueConstraint(fields=["name"], name="once")),
        operations.AddConstraint("thing", POSITIVE),
        operations.AlterField("thing", "note", models.CharField(max_length=20)),
        operations.AlterField("thing", "name", models.CharField(max_length=10)),
        operations.AlterField("thing", "name", models.IntegerField()),
        operations.AlterField("thing", "name", models.CharField(max_length=20, unique=True)),
        operations.RunSQL("CREATE INDEX by_note ON shop_thing (note)"),
        operations.RunSQL("ALTER TABLE shop_thing RENAME COLUMN note TO remark"),
    ],
    ids=lambda step: step.describe(),
)
def test_what_would_stop_the_release_before_is_refused(before: ProjectState, step: Any) -> None:
    assert len(wrong(before, step)) == 1


@pytest.mark.parametrize(
    "step",
    [
        operations.AddField("thing", "colour", models.CharField(max_length=9, null=True)),
        operations.AddField("thing", "colour", models.CharField(max_length=9, db_default="red")),
        operations.AlterField("thing", "name", models.CharField(max_length=40)),
        operations.AlterField("thing", "name", TEXT),
        AddIndexConcurrently("thing", AN_INDEX),
        operations.RunSQL("CREATE INDEX CONCURRENTLY by_note ON shop_thing (note)"),
    ],
    ids=lambda step: step.describe(),
)
def test_what_both_releases_can_live_with_passes(before: ProjectState, step: Any) -> None:
    assert wrong(before, step) == []


def test_a_table_made_in_the_same_migration_may_get_anything(before: ProjectState) -> None:
    made = operations.CreateModel("Shelf", [("id", models.BigAutoField(primary_key=True)), ("name", TEXT)])
    assert wrong(before, made, operations.AddIndex("shelf", AN_INDEX)) == []


def test_rows_are_moved_apart_from_tables(before: ProjectState) -> None:
    added = operations.AddField("thing", "colour", models.CharField(max_length=9, null=True))
    assert wrong(before, added, operations.RunPython(operations.RunPython.noop)) != []
