"""What every operation of the schema keeps to: pages by cursor, an id and a budget in each answer, a run to follow."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from tests.api.test_strangers import owned, owner  # noqa: F401  # fixtures: a person with one of everything

SCHEMA = SchemaGenerator().get_schema(request=None, public=True)
# Lists that come whole: one row for each broker, and reports that are worked out as one.
WHOLE = {"/api/v1/broker/health", "/api/v1/brokers/lots", "/api/v1/brokers/gains"}


def answer_schema(operation: dict[str, Any]) -> dict[str, Any]:
    schema = operation["responses"]["200"].get("content", {}).get("application/json", {}).get("schema", {})
    found: dict[str, Any] = schema
    if "$ref" in schema:
        found = SCHEMA["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


LISTS = {
    path: {parameter["name"] for parameter in methods["get"]["parameters"]}
    for path, methods in SCHEMA["paths"].items()
    if "get" in methods and "results" in answer_schema(methods["get"]).get("properties", {}) and path not in WHOLE
}


def test_the_lists_were_found():
    assert len(LISTS) >= 14
    assert SCHEMA["paths"].keys() >= WHOLE


def test_every_list_comes_in_pages_by_cursor(owner, owned, token_client):  # noqa: F811
    client = token_client(owner)
    for path, parameters in LISTS.items():
        assert {"limit", "cursor"} <= parameters, path
        address = path.format(**owned)
        page = client.get(address, {"limit": 1}).json()
        assert (set(page), page["previous"]) == ({"results", "next", "previous"}, None), path
        seen = list(page["results"])
        while page["next"]:
            assert parse_qs(urlsplit(page["next"]).query).keys() >= {"limit", "cursor"}, path
            page = client.get(page["next"]).json()
            assert len(page["results"]) == 1, path
            seen += page["results"]
        assert seen == client.get(address, {"limit": 500}).json()["results"], path
        for wrong in ({"cursor": "odd"}, {"limit": 0}, {"limit": 501}):
            assert client.get(address, wrong).json()["attr"] in wrong, path


@pytest.mark.usefixtures("plenty")
def test_every_answer_has_its_id_and_the_state_of_a_budget(owned):  # noqa: F811
    """Also one to a stranger; what is answered to its owner is looked at in test_described.py."""
    for path, methods in SCHEMA["paths"].items():
        for method in methods:
            answer = Client().generic(method.upper(), path.format(**owned), HTTP_X_REQUEST_ID="my-own")
            told = (answer.status_code, answer["X-Request-ID"], answer.json()["request_id"])
            assert told == (401, "my-own", "my-own"), (method, path)
            assert int(answer["RateLimit-Limit"]) > int(answer["RateLimit-Remaining"]) >= 0, (method, path)
            assert int(answer["RateLimit-Reset"]) > 0, (method, path)


def test_what_was_begun_is_followed_at_its_location(owner, owned, token_client):  # noqa: F811
    client = token_client(owner)
    begun = client.post("/api/v1/brokerage/sync", {"connection": str(owned["connection_id"])})
    assert begun.status_code == 202
    [run] = begun.json()["runs"]
    followed = client.get(begun["Location"])
    assert (followed.status_code, followed.json()["id"]) == (200, run["id"])
    status = client.get("/api/v1/brokerage/sync/status", {"run": run["id"]}).json()
    assert status["connections"][0]["run"]["id"] == run["id"]
    news = client.get("/api/v1/brokerage/sync/status", {"run": run["id"], "wait": 25, "version": "older"}).json()
    assert news["version"] == status["version"], "it does not wait when there is news already"
