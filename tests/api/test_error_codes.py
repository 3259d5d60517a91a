"""No answer has a code that the table does not name, and the table is what the schema and the guide say."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator
from rest_framework import exceptions, fields, relations, serializers

from brokerhub.kernel.error_codes import BY_STATUS, entry_for
from brokerhub.kernel.errors import HubError

ROOT = Path(__file__).resolve().parents[2]
APPS = ("brokerhub", "connections", "health", "aggregation", "sync", "comparison")
ENTRIES = {(status, entry.code): entry for status, answer in BY_STATUS.items() for entry in answer.codes}
# What these take as their code (by name or as second argument) reaches the caller, with the status beside it.
RAISED_WITH_CODE = {
    "ValidationError": 400,
    "ParseError": 400,
    "AuthenticationFailed": 401,
    "NotAuthenticated": 401,
    "PermissionDenied": 403,
    "NotFound": 404,
}


def source_files() -> Iterator[Path]:
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if not {"sandbox", "migrations"} & set(path.parts):
                yield path


def all_modules() -> None:
    """Import every module, so that every class is known."""
    for app in APPS:
        for module in pkgutil.walk_packages([str(ROOT / app)], f"{app}."):
            if not {"sandbox", "migrations", "wsgi", "management"} & set(module.name.split(".")):
                importlib.import_module(module.name)


def kinds_of(parent: type[HubError]) -> Iterator[type[HubError]]:
    yield parent
    for kind in parent.__subclasses__():
        yield from kinds_of(kind)


def test_every_error_of_the_hub_is_in_the_table():
    all_modules()
    found = {kind for kind in kinds_of(HubError) if kind.__module__.partition(".")[0] in APPS}
    assert len(found) > 25
    unknown = {kind.__qualname__: (kind.status, kind.code) for kind in found if (kind.status, kind.code) not in ENTRIES}
    assert unknown == {}


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ParseError,
        exceptions.AuthenticationFailed,
        exceptions.NotAuthenticated,
        exceptions.PermissionDenied,
        exceptions.NotFound,
        exceptions.MethodNotAllowed,
        exceptions.NotAcceptable,
        exceptions.UnsupportedMediaType,
        exceptions.Throttled,
        exceptions.APIException,
        exceptions.ValidationError,
    ],
)
def test_every_error_of_the_framework_is_in_the_table(error):
    assert (error.status_code, error.default_code) in ENTRIES


def spoken_codes() -> dict[tuple[int, str], str]:
    """Each code that stands as a literal where an API exception is made, and where that is."""
    found = {}
    for path in source_files():
        text = path.read_text()
        if not re.search(r"api_exception|error_answer|_failure|" + "|".join(RAISED_WITH_CODE), text):
            continue
        for call in ast.walk(ast.parse(text)):
            if not isinstance(call, ast.Call):
                continue
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            given = {word.arg: word.value for word in call.keywords}
            code = given.get("code") or (call.args[1] if len(call.args) > 1 else None)
            status = RAISED_WITH_CODE.get(name) or getattr(given.get("status"), "value", None)
            if isinstance(code, ast.Constant) and isinstance(code.value, str) and isinstance(status, int):
                found[status, code.value] = f"{path.relative_to(ROOT)}:{call.lineno}"
    return found


def test_every_code_in_the_source_is_in_the_table():
    found = spoken_codes()
    assert {(401, "token_expired"), (503, "service_unavailable"), (400, "does_not_exist")} <= found.keys()
    assert {where: code for code, where in found.items() if code not in ENTRIES} == {}


def used_fields() -> set[type[fields.Field[Any, Any, Any, Any]]]:
    """Every kind of field in a serializer of ours."""
    all_modules()
    kinds: set[type[fields.Field[Any, Any, Any, Any]]] = set()
    waiting: list[type[serializers.Serializer[Any]]] = [serializers.Serializer]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        is_model = issubclass(kind, serializers.ModelSerializer)
        if kind.__module__.partition(".")[0] in APPS and (not is_model or hasattr(kind, "Meta")):
            kinds |= {type(field) for field in _fields_of(kind)}
    return kinds | {serializers.ListSerializer, relations.ManyRelatedField}


def _fields_of(kind: type[serializers.Serializer[Any]]) -> Iterator[fields.Field[Any, Any, Any, Any]]:
    for field in kind().fields.values():
        yield field
        child = getattr(field, "child", None)
        if child is not None:
            yield child


def test_every_code_that_a_field_of_ours_may_answer_is_in_the_table():
    kinds = used_fields()
    assert {fields.CharField, fields.DecimalField, fields.FileField, fields.UUIDField} <= kinds
    codes = {
        code for kind in kinds for parent in kind.__mro__ for code in getattr(parent, "default_error_messages", {})
    }
    assert {code for code in codes if (400, code) not in ENTRIES} == set()


def test_a_word_outside_the_table_becomes_the_general_one_of_its_status():
    assert entry_for(400, "password_too_short").code == "invalid"
    assert entry_for(503, "odd").code == "service_unavailable"


def test_a_code_is_told_of_in_whole_sentences():
    for (status, code), entry in ENTRIES.items():
        for sentence in (entry.means, entry.do, entry.say or "It."):
            assert sentence.endswith("."), (status, code)
            assert sentence[0].isupper(), (status, code)


def test_the_schema_lists_every_code_with_its_action_and_message():
    components = SchemaGenerator().get_schema(request=None, public=True)["components"]
    for answer in BY_STATUS.values():
        told = components["schemas"][f"{answer.name}Code"]
        assert told["enum"] == [entry.code for entry in answer.codes]
        for entry in answer.codes:
            assert entry.do in told["description"]
            assert (entry.say or entry.means) in told["description"]


def test_the_guides_list_of_codes_is_the_table():
    guide = (ROOT / "docs" / "api-errors.md").read_text().splitlines()
    rows = [f"| {status} | `{entry.code}` | {entry.means} | {entry.do} |" for (status, _), entry in ENTRIES.items()]
    assert [line for line in guide if re.match(r"\| \d{3} \|", line)] == rows, "\n".join(rows)
