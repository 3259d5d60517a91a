"""Robinhood's unofficial login: each way in, each refusal, and what becomes of its tokens."""

import json
import re
from datetime import timedelta

import pytest
from django.utils import timezone

from connections.brokers import robinhood_private
from connections.brokers.base import (
    BrokerUnavailable,
    Dialogue,
    Grant,
    KeysRefused,
    NeedsReauth,
    Question,
    RateLimited,
    Refused,
    Revokes,
    UnexpectedReply,
)
from connections.brokers.robinhood_login import FIELDS, LONGEST_POLL, RobinhoodLogin, new_device_token
from connections.tokens import FreshGrant
from tests.connections.conftest import whole

pytestmark = pytest.mark.usefixtures("unpaced")

JSON = b"Content-Type: application/json\r\n"
LOGIN = RobinhoodLogin()
MARIA = {"username": "maria@example.test", "password": "sandbox"}
RIGHT, WRONG = {"code": "123456"}, {"code": "000000"}


@pytest.fixture
def way_in(sandbox):
    """`way_in("sms")` is how Maria's next login is checked; further facts as the control API takes them."""

    def choose(way, **facts):
        sandbox.control("robinhood/logins", login="maria", way=way, **facts)

    return choose


def asked(step):
    """A question, and nothing else."""
    assert isinstance(step, Question)
    return step


def granted(step):
    assert isinstance(step, Grant)
    return step


def reads(grant):
    """Whether Robinhood tells this grant its accounts."""
    return bool(robinhood_private.connector(None, FreshGrant(grant)).accounts())


def logins(sandbox):
    return len(sandbox.calls("token"))


def test_it_is_a_dialogue_whose_broker_takes_a_grant_back():
    assert isinstance(LOGIN, Dialogue)
    assert isinstance(LOGIN, Revokes)
    assert [field.name for field in FIELDS if field.is_secret] == ["password"]


# --- Each way in ------------------------------------------------------------------------------------------------------


def test_a_login_that_is_not_checked_is_in_at_once(way_in, sandbox):
    way_in("none")
    grant = granted(LOGIN.open(MARIA, {}))
    assert timedelta(days=7) < grant.access_expires_at - timezone.now() < timedelta(days=9)
    assert grant.authorization_expires_at is None
    assert set(grant.secrets) == {"access_token", "refresh_token", "read_only_access_token", "device_token"}
    assert reads(grant)
    assert logins(sandbox) == 1


def test_a_tap_on_the_phone_is_waited_for(way_in, sandbox):
    way_in("prompt", approve_after=None)
    step = asked(LOGIN.open(MARIA, {}))
    assert (step.fields, step.poll_seconds) == ((), 10)
    assert "on your phone" in step.text
    step = asked(LOGIN.reply(step.kept, {}))
    assert logins(sandbox) == 1, "looking is no login"
    sandbox.control("robinhood/phone", login="maria", approve=True)
    assert reads(granted(LOGIN.reply(step.kept, {})))
    assert logins(sandbox) == 2


@pytest.mark.parametrize(
    ("way", "words"), [("sms", "text message"), ("email", "e-mail"), ("app", "authenticator"), ("mfa", "authenticator")]
)
def test_a_code_is_asked_for_and_taken_as_people_type_it(way_in, sandbox, way, words):
    way_in(way)
    step = asked(LOGIN.open(MARIA, {}))
    assert words in step.text
    assert [field.name for field in step.fields] == ["code"]
    assert reads(granted(LOGIN.reply(step.kept, {"code": " 123 456 "})))
    assert logins(sandbox) == 2


def test_the_challenge_of_older_logins_is_answered_by_its_id(way_in, sandbox):
    way_in("legacy")
    step = asked(LOGIN.open(MARIA, {}))
    step = asked(LOGIN.reply(step.kept, WRONG))
    assert "2 tries are left" in step.text
    assert reads(granted(LOGIN.reply(step.kept, RIGHT)))


def test_a_device_that_robinhood_knows_is_not_checked_again(way_in, sandbox):
    way_in("sms")
    grant = granted(LOGIN.reply(asked(LOGIN.open(MARIA, {})).kept, RIGHT))
    again = granted(LOGIN.open(MARIA, grant.secrets))
    assert again.secrets["device_token"] == grant.secrets["device_token"]
    asked(LOGIN.open(MARIA, {}))  # another device


def test_a_device_is_named_at_random_in_the_form_robinhood_expects():
    names = {new_device_token() for _ in range(100)}
    assert len(names) == 100
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", name) for name in names)
    assert len({name[14] for name in names}) > 1, "it is no UUID of version 4"


def test_the_challenge_is_found_in_either_place_of_the_view(answering, settings):
    challenge = {"id": "c1", "type": "email", "status": "issued"}
    said = {"id": "m1", "verification_workflow": {"id": "w1"}}
    for place in (
        {"context": {"sheriff_challenge": challenge}},
        {"type_context": {"context": {"sheriff_challenge": challenge}}},
    ):
        settings.BROKERS_SANDBOX_URL = answering(whole(json.dumps(said | place).encode(), JSON), hang_up=True)
        step = asked(LOGIN.open(MARIA, {}))
        assert (step.kept["challenge"], step.kept["machine"]) == ("c1", "m1")
        assert "e-mail" in step.text


# --- Each refusal -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["username", "password"])
def test_a_blank_field_is_told_without_asking_robinhood(sandbox, name):
    with pytest.raises(KeysRefused) as refused:
        LOGIN.open(MARIA | {name: ""}, {})
    assert refused.value.field == name
    assert sandbox.calls() == []


def test_a_field_robinhood_complains_about_is_named(answering, settings):
    said = b'{"username": ["Enter a valid email address."]}'
    settings.BROKERS_SANDBOX_URL = answering(whole(said, JSON, status=b"400 Bad Request"))
    with pytest.raises(KeysRefused) as refused:
        LOGIN.open(MARIA, {})
    assert refused.value.field == "username"


def test_a_wrong_password_is_told_with_what_more_of_them_would_do(sandbox):
    with pytest.raises(KeysRefused, match="locks the login") as refused:
        LOGIN.open(MARIA | {"password": "guess"}, {})
    assert refused.value.field == "password"
    assert logins(sandbox) == 1


@pytest.mark.parametrize(
    ("status", "name"), [(b"401 Unauthorized", "non_field_errors"), (b"400 Bad Request", "detail")]
)
def test_older_words_for_a_wrong_password_mean_the_same(answering, settings, status, name):
    sentence = "Unable to log in with provided credentials."
    said = json.dumps({name: sentence if name == "detail" else [sentence]}).encode()
    settings.BROKERS_SANDBOX_URL = answering(whole(said, JSON, status=status))
    with pytest.raises(KeysRefused, match="does not know"):
        LOGIN.open(MARIA, {})


def test_a_locked_login_says_for_how_long(way_in, sandbox):
    way_in("none")
    for _ in range(3):
        with pytest.raises(KeysRefused):
            LOGIN.open(MARIA | {"password": "guess"}, {})
    with pytest.raises(RateLimited, match=r"Wait 1[01] minutes") as locked:
        LOGIN.open(MARIA, {})
    assert locked.value.retry_at is not None
    assert timedelta(minutes=9) < locked.value.retry_at - timezone.now() <= timedelta(minutes=11)
    assert logins(sandbox) == 4
    sandbox.advance(661)
    granted(LOGIN.open(MARIA, {}))


@pytest.mark.parametrize(
    ("detail", "words", "seconds"),
    [
        ("Request was throttled. Expected available in 51 seconds.", "1 minute", 51),
        ("Request was throttled. Expected available in 7200 seconds.", "2 hours", 7200),
        ("Request was throttled.", "1 minute", 60),
        ("Request was throttled. Expected available in 1154515 seconds.", "24 hours", 86400),
    ],
)
def test_the_wait_is_read_from_the_sentence_and_never_longer_than_a_day(sandbox, detail, words, seconds):
    sandbox.fault("429", "token", broker="robinhood", retry_after=None, body={"detail": detail})
    with pytest.raises(RateLimited, match=f"Wait {words} ") as limited:
        LOGIN.open(MARIA, {})
    assert limited.value.retry_at is not None
    assert abs((limited.value.retry_at - timezone.now()).total_seconds() - seconds) < 5


@pytest.mark.parametrize("way", ["sms", "email", "app", "legacy"])
def test_wrong_codes_are_counted_down_and_then_it_is_over(way_in, sandbox, way):
    way_in(way)
    step = asked(LOGIN.open(MARIA, {}))
    for words in ("2 tries are left", "1 try is left"):
        step = asked(LOGIN.reply(step.kept, WRONG))
        assert words in step.text
    with pytest.raises(KeysRefused, match="begin once more"):
        LOGIN.reply(step.kept, WRONG)
    assert logins(sandbox) == 1


def test_what_is_no_code_is_not_sent(way_in, sandbox):
    way_in("sms")
    step = asked(LOGIN.open(MARIA, {}))
    before = len(sandbox.calls())
    for typed in ("", "12a456", "١٢٣٤٥٦"):
        step = asked(LOGIN.reply(step.kept, {"code": typed}))
        assert "digits only" in step.text
    assert len(sandbox.calls()) == before
    granted(LOGIN.reply(step.kept, RIGHT))


def test_a_wrong_code_of_the_authenticator_may_be_typed_again(way_in):
    way_in("mfa")
    step = asked(LOGIN.open(MARIA, {}))
    step = asked(LOGIN.reply(step.kept, WRONG))
    assert "not right" in step.text
    assert "000000" not in step.kept.values()
    granted(LOGIN.reply(step.kept, RIGHT))


@pytest.mark.parametrize("way", ["prompt", "sms"])
def test_a_check_that_has_run_out_is_over(way_in, sandbox, way):
    way_in(way, approve_after=None)
    step = asked(LOGIN.open(MARIA, {}))
    sandbox.advance(301)
    with pytest.raises(KeysRefused, match="failed or run out"):
        LOGIN.reply(step.kept, RIGHT)


def test_a_tap_on_no_is_over(way_in, sandbox):
    way_in("prompt", approve_after=None)
    step = asked(LOGIN.open(MARIA, {}))
    sandbox.control("robinhood/phone", login="maria", approve=False)
    with pytest.raises(KeysRefused, match="begin once more"):
        LOGIN.reply(step.kept, {})


def test_an_answer_to_no_question_is_over(sandbox):
    with pytest.raises(KeysRefused):
        LOGIN.reply(MARIA, RIGHT)
    assert sandbox.calls() == []


def test_a_limit_met_while_polling_only_slows_it(way_in, sandbox):
    way_in("prompt", approve_after=None)
    step = asked(LOGIN.open(MARIA, {}))
    sandbox.fault("429", "challenge", broker="robinhood", times=1, retry_after=45)
    step = asked(LOGIN.reply(step.kept, {}))
    assert step.poll_seconds is not None
    assert 44 <= step.poll_seconds <= 47
    sandbox.fault("429", "challenge", broker="robinhood", times=1, retry_after=LONGEST_POLL + 60)
    with pytest.raises(RateLimited):
        LOGIN.reply(step.kept, {})
    sandbox.control("robinhood/phone", login="maria", approve=True)
    granted(LOGIN.reply(step.kept, {}))


def test_a_workflow_that_is_not_done_yet_is_waited_for(answering, settings):
    pending = {"verification_workflow": {"id": "w1", "workflow_status": "workflow_status_internal_pending"}}
    settings.BROKERS_SANDBOX_URL = answering(whole(json.dumps(pending).encode(), JSON))
    step = asked(LOGIN.reply({**MARIA, "device_token": new_device_token(), "step": "wait", "machine": "m1"}, {}))
    assert (step.fields, step.poll_seconds) == ((), 10)


def test_a_device_that_is_to_be_checked_again_right_after_its_check_is_not_checked_for_ever(answering, settings):
    """One answer for all calls: approved, and yet another workflow."""
    said = {"verification_workflow": {"id": "w1"}, "type_context": {"result": "workflow_status_approved"}}
    settings.BROKERS_SANDBOX_URL = answering(whole(json.dumps(said).encode(), JSON), hang_up=True)
    with pytest.raises(KeysRefused, match="begin once more"):
        LOGIN.reply({**MARIA, "device_token": new_device_token(), "step": "wait", "machine": "m1"}, {})


@pytest.mark.parametrize("kind", ["500", "html", "reset", "route_missing"])
@pytest.mark.parametrize("operation", ["token", "challenge"])
def test_a_failing_login_is_not_tried_again_by_itself(way_in, sandbox, kind, operation):
    way_in("sms")
    sandbox.fault(kind, operation, broker="robinhood")
    with pytest.raises(BrokerUnavailable):
        LOGIN.open(MARIA, {})
    assert len(sandbox.calls(operation)) == 1


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"[]", b"200 OK"),
        (b"{}", b"200 OK"),
        (b'{"access_token": "an-access-token"}', b"200 OK"),
        (b'{"access_token": "an-access-token", "refresh_token": "r", "expires_in": "soon"}', b"200 OK"),
        (b'{"access_token": 5, "refresh_token": "r"}', b"200 OK"),
        (b'{"error": "invalid_client"}', b"401 Unauthorized"),
        (b'{"detail": "A word of tomorrow."}', b"403 Forbidden"),
        (b'{"verification_workflow": {"id": "w1"}, "id": "../../orders"}', b"403 Forbidden"),
        (b'{"challenge": {"id": "a/b"}}', b"400 Bad Request"),
        (
            b'{"id": "m1", "verification_workflow": {"id": "w1"}, "context": {"sheriff_challenge": {"id": "c1", '
            b'"type": "retina", "status": "issued"}}}',
            b"403 Forbidden",
        ),
    ],
)
def test_an_answer_of_an_unknown_form_is_not_guessed_at_nor_shown(answering, settings, said, status):
    settings.BROKERS_SANDBOX_URL = answering(whole(said, JSON, status=status), hang_up=True)
    with pytest.raises(UnexpectedReply) as raised:
        LOGIN.open(MARIA, {})
    assert "an-access-token" not in str(raised.value)
    assert "sandbox" not in str(raised.value)


def test_there_is_no_page_of_robinhoods_to_go_to():
    with pytest.raises(Refused, match="no sign-in page"):
        LOGIN.begin(state="s")
    with pytest.raises(Refused):
        LOGIN.complete(answer={}, kept={}, at=timezone.now())


def test_password_code_and_tokens_are_neither_printed_nor_logged(way_in, caplog, capsys):
    way_in("sms")
    typed = MARIA | {"password": "sandbox"}
    step = asked(LOGIN.open(typed, {}))
    assert "sandbox" not in repr(step)
    grant = granted(LOGIN.reply(step.kept, RIGHT))
    told = repr(grant) + repr(LOGIN) + caplog.text + capsys.readouterr().out
    for secret in (*grant.secrets.values(), "maria@", "123456", "'sandbox'"):
        assert secret not in told


# --- Tokens -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def grant(way_in, sandbox):
    way_in("none")
    return granted(LOGIN.open(MARIA, {}))


def test_a_renewal_turns_over_all_tokens_of_the_same_device(grant):
    fresh = LOGIN.refresh(grant)
    for name in ("access_token", "refresh_token", "read_only_access_token"):
        assert fresh.secrets[name] != grant.secrets[name]
    assert fresh.secrets["device_token"] == grant.secrets["device_token"]
    assert reads(fresh)
    with pytest.raises(NeedsReauth):
        LOGIN.refresh(grant)
    with pytest.raises(NeedsReauth):
        reads(grant)


def test_a_renewal_answers_for_its_own_device_only(grant):
    stolen = Grant(
        secrets=grant.secrets | {"device_token": new_device_token()},
        access_expires_at=grant.access_expires_at,
        authorization_expires_at=None,
    )
    with pytest.raises(NeedsReauth):
        LOGIN.refresh(stolen)


def test_a_session_that_has_lapsed_needs_the_person(grant, sandbox):
    said = {"verification_workflow": {"id": "w1", "workflow_status": "workflow_status_internal_pending"}}
    sandbox.fault("403", "token", broker="robinhood", body=said)
    with pytest.raises(NeedsReauth, match="sign in again") as lapsed:
        LOGIN.refresh(grant)
    assert lapsed.value.reason_code == "refresh_refused"


@pytest.mark.parametrize(
    ("kind", "error"), [("429", RateLimited), ("500", BrokerUnavailable), ("html", BrokerUnavailable)]
)
def test_a_renewal_that_meets_a_passing_fault_is_not_a_lost_connection(grant, sandbox, kind, error):
    sandbox.fault(kind, "token", broker="robinhood", times=1)
    with pytest.raises(error):
        LOGIN.refresh(grant)
    assert reads(LOGIN.refresh(grant))


def test_revoking_ends_every_token_at_robinhood(grant, sandbox):
    assert reads(grant)
    LOGIN.revoke(grant)
    with pytest.raises(NeedsReauth):
        LOGIN.refresh(grant)
    for name in ("access_token", "read_only_access_token"):
        one = Grant(
            secrets={"access_token": grant.secrets[name]},
            access_expires_at=grant.access_expires_at,
            authorization_expires_at=None,
        )
        with pytest.raises(NeedsReauth):
            reads(one)
    LOGIN.revoke(grant)  # once more is no error


def test_a_revocation_that_fails_is_told(grant, sandbox):
    sandbox.fault("500", "revoke", broker="robinhood")
    with pytest.raises(BrokerUnavailable):
        LOGIN.revoke(grant)
    assert reads(grant)
