"""The states of a connection, their words and the moves between them."""

import pytest

from connections.states import REASONS, TRANSITIONS, ConnectionState, reason_for


@pytest.mark.parametrize("state", ConnectionState)
def test_every_state_has_words_a_colour_and_a_way_on(state):
    assert state.label
    assert state.tone in {"good", "warn", "bad", "wait", "quiet"}
    assert state in TRANSITIONS[state], "a state can always be confirmed"
    assert TRANSITIONS[state] - {state}, "no state is a dead end"


@pytest.mark.parametrize("state", [state for state in ConnectionState if state is not ConnectionState.DISCONNECTED])
def test_from_every_state_one_can_leave(state):
    assert state is ConnectionState.DISCONNECTING or state.may_become(ConnectionState.DISCONNECTING)


def test_a_lost_sign_in_is_only_mended_by_signing_in():
    state = ConnectionState.NEEDS_REAUTH
    assert not state.may_sync
    assert state.needs_user
    onward = {target for target in ConnectionState if state.may_become(target)} - {state}
    assert onward == {ConnectionState.CONNECTED, ConnectionState.DISCONNECTING}


@pytest.mark.parametrize("code", REASONS)
def test_every_reason_reads_as_a_sentence_about_the_broker(code):
    reason = reason_for(code, broker="Charles Schwab")
    assert "{" not in reason.text + reason.action
    assert not reason.text or reason.text.endswith(".")


def test_an_unknown_reason_is_a_bug_and_not_an_empty_text():
    with pytest.raises(KeyError):
        reason_for("no_such_reason", broker="Charles Schwab")
