"""Who tried to get in, and who was refused, can be read afterwards; nobody can write a line of their own."""

import json
import logging

import pytest
import structlog
from django.conf import settings
from django.test import Client

LOGIN = "/accounts/login/"
PASSWORD = "correct horse battery"


@pytest.fixture
def lines():
    """What the hub would print in production, as it would print it."""
    printed = []

    class Printer(logging.Handler):
        def emit(self, record):
            printed.append(self.format(record))

    form = settings.LOGGING["formatters"]["line"]
    handler = Printer()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=form["foreign_pre_chain"],
            processors=[*form["processors"][:-1], structlog.processors.JSONRenderer()],
        )
    )
    logging.getLogger().addHandler(handler)
    yield printed
    logging.getLogger().removeHandler(handler)


def events(lines):
    return {said["event"]: said for said in map(json.loads, lines)}


def test_sign_ins_good_and_bad_are_logged_without_what_was_typed(lines, caller):
    client = Client(REMOTE_ADDR="192.0.2.7")
    client.post(LOGIN, {"login": caller.email, "password": "canary-of-a-wrong-password"})
    client.post(LOGIN, {"login": "canary-typed-into-the-wrong-field", "password": "x"})
    client.post(LOGIN, {"login": caller.email, "password": PASSWORD})
    client.post("/accounts/logout/")
    said = events(lines)
    assert said["sign_in_failed"]["ip"] == "192.0.2.7"
    assert said["signed_in"]["user_id"] == said["signed_out"]["user_id"] == caller.pk
    assert "canary-" not in "".join(lines)
    assert PASSWORD not in "".join(lines)


def test_refusals_are_logged(lines, caller):
    client = Client(enforce_csrf_checks=True)
    client.force_login(caller)
    client.post("/preferences/theme", {"theme": "dark"})
    client.get("/connections/00000000-0000-0000-0000-000000000000/")
    Client(HTTP_HOST="evil.example").get("/")
    finished = [
        (said["request"], said["code"]) for said in map(json.loads, lines) if said["event"] == "request_finished"
    ]
    assert ("POST /preferences/theme", 403) in finished
    assert ("GET /connections/00000000-0000-0000-0000-000000000000/", 404) in finished
    said = "".join(lines)
    assert "Forbidden (CSRF" in said
    assert "evil.example" in said


def test_no_line_of_the_log_can_be_invented(lines, db):
    forged = '{"event": "signed_in", "user_id": 1}'
    Client(headers={"User-Agent": f"x\n{forged}", "X-Request-ID": f"x\n{forged}"}).get(f"/nowhere%0a{forged}")
    assert lines
    for line in lines:
        assert "\n" not in line
        assert json.loads(line)["event"] != "signed_in"
