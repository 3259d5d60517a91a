"""The API describes itself, and the description in the repository is the one it gives."""

from pathlib import Path

import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from django.urls import URLResolver, get_resolver
from drf_spectacular.generators import SchemaGenerator

from brokerhub.kernel.models import Scope

COMMITTED = Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml"
SCHEMA = SchemaGenerator().get_schema(request=None, public=True)
OPERATIONS = [
    (path, method, operation) for path, methods in SCHEMA["paths"].items() for method, operation in methods.items()
]
each_operation = pytest.mark.parametrize(
    ("path", "method", "operation"), OPERATIONS, ids=[f"{method} {path}" for path, method, _ in OPERATIONS]
)


def test_the_committed_description_is_current(tmp_path):
    fresh = tmp_path / "openapi.yaml"
    call_command("spectacular", "--file", str(fresh), "--validate", "--fail-on-warn")
    assert fresh.read_text() == COMMITTED.read_text(), (
        "The API has changed: run `manage.py spectacular --file docs/openapi.yaml --validate --fail-on-warn`."
    )


def test_the_description_is_served_to_anybody(db):
    answer = Client().get("/api/schema")
    assert answer.status_code == 200
    assert yaml.safe_load(answer.content)["paths"].keys() == SCHEMA["paths"].keys()


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/brokerage/connections",
        "/api/v1/brokerage/connections/{connection_id}",
        "/api/v1/brokerage/oauth/initiate",
        "/api/v1/brokers/accounts",
        "/api/v1/brokers/positions",
        "/api/v1/brokers/balances",
        "/api/v1/brokerage/transactions",
        "/api/v1/broker/health",
        "/api/v1/broker/health/{broker}",
        "/api/v1/brokerage/sync",
        "/api/v1/brokerage/sync/status",
        "/api/v1/brokerage/import",
    ],
)
def test_the_promised_addresses_exist(path):
    assert path in SCHEMA["paths"]


@each_operation
def test_each_operation_says_what_it_does_and_which_scope_it_needs(path, method, operation):
    text = operation["description"]
    assert len(text.split("\n\n")[0]) > 10
    assert any(f"Scope: `{scope}`" in text for scope in Scope.values)
    assert operation["tags"] != ["api"]


@each_operation
def test_each_operation_names_its_errors_in_the_one_shape(path, method, operation):
    errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
    assert {"401", "403", "429", "503"} <= errors.keys()
    assert ("404" in errors) or "{" not in path
    shapes = {answer["content"]["application/json"]["schema"]["$ref"] for answer in errors.values()}
    assert shapes == {"#/components/schemas/Error"}


@each_operation
def test_no_operation_answers_a_stranger(path, method, operation, db):
    address = path.format_map(_Any())
    answer = Client().generic(method.upper(), address, "{}", content_type="application/json")
    assert answer.status_code == 401
    assert set(answer.json()) == {"code", "detail", "attr", "request_id", "errors"}


UUIDS = {"connection_id", "simulation_id"}


class _Any(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "00000000-0000-4000-8000-000000000000" if name in UUIDS else "1"


def test_no_address_of_the_api_ends_in_a_slash():
    assert [path for path in SCHEMA["paths"] if path.endswith("/")] == []


def test_every_method_of_every_view_names_a_scope():
    views = [view for view in _views(get_resolver()) if hasattr(view, "required_scopes")]
    assert len(views) > 8
    for view in views:
        methods = {name.upper() for name in ("get", "post", "put", "patch", "delete") if hasattr(view, name)}
        assert methods == set(view.required_scopes), view
        assert set(view.required_scopes.values()) <= set(Scope.values)


def _views(resolver: URLResolver) -> list[type]:
    views = []
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            views += _views(entry)
        elif hasattr(entry.callback, "cls"):
            views.append(entry.callback.cls)
    return views


def test_the_docs_page_brings_no_inline_script_or_style(db):
    page = Client().get("/api/docs").content.decode()
    assert "<style" not in page
    assert "<script>" not in page
    assert "://" not in page.replace("http://testserver", "")
