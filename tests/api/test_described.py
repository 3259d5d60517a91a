"""The API keeps to its own description, whatever is sent: schemathesis makes the requests from the schema.

A few requests to each operation run always; many more by `make endurance`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from django.http import HttpResponse
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from rest_framework.response import Response
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response as Answer
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from brokerhub.kernel.models import ApiToken, Scope, User
from connections.api import ConnectionList
from tests.aggregation.factories import a_user
from tests.api.test_strangers import NOBODYS, owned, owner  # noqa: F401  # fixtures: a person with one of everything

CHECKS = [status_code_conformance, content_type_conformance, response_headers_conformance, response_schema_conformance]
MANY = 50


DESCRIBED = json.loads(json.dumps(SchemaGenerator().get_schema(request=None, public=True)))


def operations() -> list[APIOperation[Any, Any, Any, Any]]:
    schema = schemathesis.openapi.from_dict(DESCRIBED)
    schema.app = WSGIHandler()  # get_wsgi_application() would set Django up anew, its logging too
    schema.config.generation.update(with_security_parameters=False, modes=list(GenerationMode))
    return [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]


OPERATIONS = operations()


@pytest.fixture
def one_connection() -> Iterator[None]:
    """A request does not close the database's connection, in whose transaction the test is."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


def token_of(user: User) -> dict[str, str]:
    _, token = ApiToken.objects.create(user=user, scopes=list(Scope))
    return {"Authorization": f"Token {token}"}


def send(case: Case[Any], headers: dict[str, str]) -> Answer:
    """The answer; what it did is undone, so that each example finds the same books.

    Over HTTP a client unpacks what was compressed; called within the process, nobody does.
    """
    with transaction.atomic():
        answer = case.call(headers={"Accept-Encoding": "identity", **headers})
        transaction.set_rollback(True)
    return answer


def names_in(operation: APIOperation[Any, Any, Any, Any]) -> list[str]:
    return [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]


@dataclass
class Visit:
    """A person with one of everything, a stranger, and what was wrong with the answers they got."""

    owner: dict[str, str]
    stranger: dict[str, str]
    ids: dict[str, Any]
    tried: int = 0
    served: set[str] = field(default_factory=set)  # operations that did what they are for
    wrong: list[str] = field(default_factory=list)

    def fuzz(self, operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, examples: int) -> None:
        ids = {name: self.ids[name] for name in names_in(operation)}
        strategy = operation.as_strategy(mode, path_parameters=ids or None)

        @settings(
            max_examples=examples,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=strategy)
        def each(case: Case[Any]) -> None:
            case.query.pop("wait", None)  # a long poll would wait
            self.check(case, mode, may_be_strange=bool(ids.keys() - NOBODYS))

        try:
            each()
        except Unsatisfiable:  # nothing in this operation can be made wrong
            assert mode is GenerationMode.NEGATIVE, operation.label

    def check(self, case: Case[Any], mode: GenerationMode, *, may_be_strange: bool) -> None:
        self.tried += 1
        answer = send(case, self.owner)
        told = f"{mode.value} {answer.status_code} {case.as_curl_command()}\n"
        if answer.status_code == 500:
            self.wrong.append(f"{told}{answer.text}")
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as failures:
            self.wrong += [f"{told}{failure.title}: {failure.message}" for failure in failures.exceptions]
        if "ratelimit-limit" not in answer.headers and answer.status_code != 400:  # a NUL is refused before all else
            self.wrong.append(f"{told}It does not say how the budget stands.")
        if answer.status_code < 300:
            self.served.add(case.operation.label)
        if may_be_strange and answer.status_code < 300:
            status = send(case, self.stranger).status_code
            if status != 404:
                self.wrong.append(f"{told}A stranger gets {status}.")


@pytest.mark.parametrize(
    ("positive", "negative"), [(2, 1), pytest.param(MANY, MANY, marks=pytest.mark.endurance)], ids=["few", "many"]
)
@pytest.mark.usefixtures("plenty", "unpaced", "one_connection")
def test_every_answer_is_as_described(positive, negative, owner, owned):  # noqa: F811
    visit = Visit(token_of(owner), token_of(a_user()), owned)
    for operation in OPERATIONS:
        visit.fuzz(operation, GenerationMode.POSITIVE, positive)
        visit.fuzz(operation, GenerationMode.NEGATIVE, negative)
    assert visit.tried > len(OPERATIONS) * positive
    assert len(visit.served) > len(OPERATIONS) * 0.7, sorted({each.label for each in OPERATIONS} - visit.served)
    assert not visit.wrong, f"{len(visit.wrong)} wrong answers:\n" + "\n\n".join(visit.wrong[:60])


@pytest.mark.usefixtures("plenty", "one_connection")
@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (lambda *_: Response({"results": 1, "next": None, "previous": None}), "Response violates schema"),
        (lambda *_: Response({}, status=418), "Undocumented status code"),
        (lambda *_: HttpResponse("<p>", status=200), "Content-Type"),
        (lambda *_: Response({"code": "error"}, status=500), "Response violates schema"),
    ],
    ids=["shape", "status", "type", "error"],
)
def test_a_wrong_answer_is_noticed(answer, fault, caller, monkeypatch):
    """Else the test above would prove nothing."""
    [operation] = [operation for operation in OPERATIONS if operation.label == "GET /api/v1/brokerage/connections"]
    monkeypatch.setattr(ConnectionList, "get", answer)
    visit = Visit(token_of(caller), {}, {})
    visit.fuzz(operation, GenerationMode.POSITIVE, 1)
    assert any(fault in wrong for wrong in visit.wrong), visit.wrong


def test_the_whole_schema_is_tried():
    assert len(OPERATIONS) == sum(len(methods) for methods in DESCRIBED["paths"].values()) > 70
    assert {operation.method for operation in OPERATIONS} >= {"get", "post", "patch", "put", "delete"}
