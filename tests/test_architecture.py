"""Who may import whom, read from the import statements: an app knows only what stands to its left.

brokerhub.kernel < connections < health < aggregation < sync < comparison < the rest of brokerhub. The sandbox plays the
brokers, so it shares no code with the hub in either direction: one misreading could not show up otherwise.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
LAYERS = ["brokerhub.kernel", "connections", "health", "aggregation", "sync", "comparison", "brokerhub"]
SANDBOX = "connections.sandbox"


def modules() -> Iterator[tuple[str, Path]]:
    """Each module of the hub and the sandbox by its dotted name, packages without `__init__`."""
    for top in sorted({layer.partition(".")[0] for layer in LAYERS}):
        for path in sorted((REPOSITORY / top).rglob("*.py")):
            yield ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"), path


def imports(module: str, source: str, *, is_package: bool = False) -> Iterator[str]:
    """Dotted names that `source` imports, wherever the statement stands; `from a import b` gives a.b."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.split(".")[: (1 if is_package else 0) - node.level or None]
                base = ".".join([*above, base] if base else above)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def layer_of(name: str) -> int | None:
    return next((place for place, layer in enumerate(LAYERS) if is_in(name, layer)), None)


def violations(module: str, source: str, *, is_package: bool = False) -> list[str]:
    """Sentences, one for each import that crosses a line."""
    found = []
    for name in imports(module, source, is_package=is_package):
        own, other = layer_of(module), layer_of(name)
        if other is None or own is None:
            continue
        if is_in(module, SANDBOX) != is_in(name, SANDBOX):
            found.append(f"{module} imports {name}: hub and sandbox share no code")
        elif other > own:
            found.append(f"{module} imports {name}: {LAYERS[own]} may not know {LAYERS[other]}")
    return found


def test_each_app_imports_only_what_stands_to_its_left() -> None:
    found = [
        sentence
        for module, path in modules()
        for sentence in violations(module, path.read_text(), is_package=path.name == "__init__.py")
    ]
    assert found == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("brokerhub.kernel.money", "from connections.models import Account"),
        ("connections.models", "import health.metrics"),
        ("connections.views", "def late():\n    from sync import sync_service"),
        ("health.models", "from brokerhub.settings import MODE"),
        ("aggregation.ledger", "from brokerhub import urls"),
        ("aggregation.ledger", "from ..sync import models"),
        ("connections.sandbox.market", "from connections.brokers import records"),
        ("connections.sandbox.market", "from brokerhub.kernel.money import Money"),
        ("connections.sandbox.market", "from ..states import ConnectionState"),
        ("brokerhub.views", "from connections.sandbox import clock"),
    ],
)
def test_an_import_across_the_line_is_seen(module: str, source: str) -> None:
    assert len(violations(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("connections.models", "from brokerhub.kernel.models import User"),
        ("sync.tasks", "from health import health_monitor"),
        ("brokerhub.urls", "from sync import views\nimport comparison"),
        ("connections.sandbox.schwab.orders", "from ..clock import Clock"),
        ("aggregation.ledger", "from . import matching\nimport django.db"),
    ],
)
def test_an_import_along_the_line_is_free(module: str, source: str) -> None:
    assert violations(module, source) == []


def test_a_package_counts_its_own_name_when_it_imports_relatively() -> None:
    assert list(imports("connections.brokers", "from . import schwab", is_package=True)) == [
        "connections.brokers.schwab"
    ]
    assert list(imports("connections.brokers.base", "from . import records")) == ["connections.brokers.records"]


def test_every_layer_that_exists_is_read() -> None:
    read = {module.partition(".")[0] for module, _ in modules()}
    assert read >= {"brokerhub", "connections", "health", "aggregation", "sync", "comparison"}
