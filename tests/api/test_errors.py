"""One error shape, whatever went wrong and wherever."""

import logging
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

pytestmark = pytest.mark.usefixtures("frame")
SHAPE = {"code", "detail", "attr", "display_message", "suggested_action", "type", "documentation_url"}
SHAPE |= {"request_id", "errors"}
ORDERS = "/api/v1/test/orders"


def check_shape(answer, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/json"
    assert set(body) == SHAPE
    assert body["display_message"]
    assert body["suggested_action"]
    assert body["documentation_url"].endswith(body["type"])
    assert body["code"] == code
    assert {key: body[key] for key in ("code", "detail", "attr")} == body["errors"][0]
    assert body["request_id"] == answer["X-Request-ID"]
    return body


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        ("missing", 404, "not_found"),
        ("not-allowed", 409, "conflict"),
        ("rate-limited", 503, "broker_rate_limited"),
        ("database", 503, "service_unavailable"),
        ("suspicious", 400, "parse_error"),
        ("bug", 500, "error"),
    ],
)
def test_every_failure_has_the_one_shape_and_keeps_its_secrets(api, failure, status, code):
    answer = api.get(f"/api/v1/test/failing/{failure}")
    check_shape(answer, status, code)
    assert "secret" not in answer.content.decode()
    assert "hunter2" not in answer.content.decode()


def test_the_sentence_of_a_hub_error_reaches_the_caller(api):
    assert api.get("/api/v1/test/failing/not-allowed").json()["detail"] == "This connection is being removed."


def test_people_are_shown_a_sentence_that_is_fit_for_them(api):
    told = api.get("/api/v1/test/failing/not-allowed").json()
    assert told["display_message"] == told["detail"]
    reader = api.post(ORDERS, "{", content_type="application/json").json()
    assert reader["display_message"] == "The program sent something that the hub cannot read."
    assert "JSON" in reader["detail"]


def test_the_address_beside_an_error_describes_its_code(api, db):
    told = api.get("/api/v1/test/failing/missing").json()
    page, _, place = told["type"].partition("#")
    assert f'id="{place}"' in Client().get(page).content.decode()


def test_a_broker_that_says_when_to_come_back_is_quoted(api):
    assert 28 <= int(api.get("/api/v1/test/failing/rate-limited")["Retry-After"]) <= 30


def test_a_bug_is_logged_with_the_id_its_caller_was_given(api, caplog):
    with caplog.at_level(logging.ERROR):
        answer = api.get("/api/v1/test/failing/bug", HTTP_X_REQUEST_ID="ask-about-me")
    assert answer.json()["request_id"] == "ask-about-me"
    assert any(record.exc_info and record.exc_info[0] is KeyError for record in caplog.records)


def test_each_wrong_field_is_listed(api):
    answer = api.post(ORDERS, {"symbol": "TOOLONG", "lots": [1, 0]})
    body = check_shape(answer, 400, "max_length")
    assert [(error["attr"], error["code"]) for error in body["errors"]] == [
        ("symbol", "max_length"),
        ("lots.1", "min_value"),
    ]


@pytest.mark.parametrize("body", ["{", "\x00"])
def test_a_body_that_is_no_json_is_refused(api, body):
    check_shape(api.post(ORDERS, body, content_type="application/json"), 400, "parse_error")


def test_a_body_that_is_no_object_is_refused(api):
    check_shape(api.post(ORDERS, "[]", content_type="application/json"), 400, "invalid")


def test_a_body_that_is_too_large_is_refused(api, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    answer = api.post(ORDERS, {"symbol": "X", "lots": [1] * 100})
    check_shape(answer, 413, "too_large")


def test_a_form_where_json_is_wanted_is_refused(api):
    check_shape(
        api.post(ORDERS, "a=b", content_type="application/x-www-form-urlencoded"), 415, "unsupported_media_type"
    )


def test_a_wrong_method_is_told_the_right_ones(api):
    answer = api.delete(ORDERS)
    check_shape(answer, 405, "method_not_allowed")
    assert answer["Allow"] == "POST, OPTIONS"


@pytest.mark.parametrize("address", ["/api/v1/nowhere", "/api/v2/test/orders", "/api/v1/test/orders/", "/api/"])
def test_an_address_that_is_none_answers_in_json(db, address):
    check_shape(APIClient().get(address), 404, "not_found")
    check_shape(APIClient().post(address, {}), 404, "not_found")


def test_an_unknown_host_is_refused_in_json(db):
    check_shape(
        Client(raise_request_exception=False).get("/api/v1/nowhere", HTTP_HOST="evil.example"), 400, "invalid_request"
    )


# --- The request's id -------------------------------------------------------------------------------------------------
def test_a_callers_own_request_id_comes_back(db):
    assert Client().get("/healthz", HTTP_X_REQUEST_ID="job-42.a_b")["X-Request-ID"] == "job-42.a_b"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "<script>", "a\r\nSet-Cookie: b=c", "ünsafe", "-rf"])
def test_a_request_id_that_is_no_safe_word_is_replaced(db, given):
    answer = Client().get("/healthz", HTTP_X_REQUEST_ID=given)
    assert answer["X-Request-ID"] != given
    assert len(answer["X-Request-ID"]) == 32
