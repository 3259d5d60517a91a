"""The API describes itself, and the description in the repository is the one it gives."""

import hashlib
from datetime import date
from pathlib import Path

import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from django.urls import URLResolver, get_resolver
from drf_spectacular.generators import SchemaGenerator

from brokerhub.kernel.error_codes import BY_STATUS
from brokerhub.kernel.models import Scope

CHANGELOG = Path(__file__).resolve().parents[2] / "docs" / "api-changelog.md"
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


def test_a_changed_description_has_its_line_in_the_changelog():
    newest = CHANGELOG.read_text().split("\n## ")[1]
    digest = hashlib.sha256(COMMITTED.read_bytes()).hexdigest()[:16]
    assert f"Schema: {digest}\n" in newest, (
        "docs/openapi.yaml has changed: say in docs/api-changelog.md what is new, under the day of today, and end the "
        f"entry with `Schema: {digest}`. The day is VERSION in SPECTACULAR_SETTINGS, too."
    )
    assert newest.startswith(f"{SCHEMA['info']['version']}\n")


def test_the_changelog_is_dated_newest_first():
    days = [entry.splitlines()[0] for entry in CHANGELOG.read_text().split("\n## ")[1:]]
    assert [date.fromisoformat(day).isoformat() for day in days] == sorted(set(days), reverse=True)


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
    errors = {status: answer["$ref"] for status, answer in operation["responses"].items() if status >= "400"}
    assert {"400", "401", "403", "429", "500", "503"} <= errors.keys()
    assert ("404" in errors) or "{" not in path
    assert errors == {status: f"#/components/responses/{BY_STATUS[int(status)].name}" for status in errors}


@each_operation
def test_each_operation_names_the_headers_of_its_answers(path, method, operation):
    for status, answer in operation["responses"].items():
        answer = SCHEMA["components"]["responses"][answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer
        assert {"X-Request-ID", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"} <= answer["headers"].keys()
        assert ("Retry-After" in answer["headers"]) == (status in {"429", "503"})


@each_operation
def test_no_operation_answers_a_stranger(path, method, operation, db):
    address = path.format_map(_Any())
    answer = Client().generic(method.upper(), address, "{}", content_type="application/json")
    assert answer.status_code == 401
    assert answer.json()["code"] == "not_authenticated"


UUIDS = {"endpoint_id", "connection_id", "simulation_id"}


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
