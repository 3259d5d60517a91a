"""Secrets at rest: only the right key and the right row open them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connections.credentials import CredentialsUnreadable, rewrapped, seal, unseal

OLD_KEY, NEW_KEY = b"o" * 32, b"n" * 32
SECRETS = st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=200), max_size=5)


@given(values=SECRETS, owner=st.text(max_size=40))
def test_what_is_sealed_opens_again_for_its_owner(values, owner):
    assert unseal(seal(values, owner=owner), owner=owner) == values


@given(values=st.dictionaries(st.just("token"), st.text(min_size=8, max_size=60, alphabet="abcdefgh"), min_size=1))
def test_a_sealed_secret_shows_nothing_of_itself(values):
    sealed = seal(values, owner="connection:1")
    assert values["token"].encode() not in sealed


def test_a_secret_copied_to_another_row_does_not_open():
    sealed = seal({"token": "t"}, owner="connection:1")
    with pytest.raises(CredentialsUnreadable):
        unseal(sealed, owner="connection:2")


def test_one_changed_bit_is_noticed():
    sealed = bytearray(seal({"token": "t"}, owner="connection:1"))
    sealed[-1] ^= 1
    with pytest.raises(CredentialsUnreadable):
        unseal(bytes(sealed), owner="connection:1")


@given(data=st.data())
def test_what_is_cut_off_anywhere_is_unreadable_and_nothing_worse(data):
    sealed = seal({"token": "t"}, owner="connection:1")
    short = sealed[: data.draw(st.integers(0, len(sealed) - 1))]
    with pytest.raises(CredentialsUnreadable):
        unseal(short, owner="connection:1")


@given(sealed=st.binary(max_size=80))
@example(sealed=b"")
@example(sealed=b"\xff")
def test_any_other_bytes_are_unreadable_and_nothing_worse(sealed):
    for read in (unseal, rewrapped):
        with pytest.raises(CredentialsUnreadable):
            read(sealed, owner="connection:1")


def test_a_new_key_writes_while_the_old_one_still_reads(settings):
    settings.CREDENTIALS_KEYS = {"old": OLD_KEY}
    before = seal({"token": "t"}, owner="c")
    settings.CREDENTIALS_KEYS = {"new": NEW_KEY, "old": OLD_KEY}
    after = seal({"token": "t"}, owner="c")
    assert unseal(before, owner="c") == unseal(after, owner="c") == {"token": "t"}
    settings.CREDENTIALS_KEYS = {"new": NEW_KEY}
    assert unseal(after, owner="c") == {"token": "t"}
    with pytest.raises(CredentialsUnreadable, match="'old'"):
        unseal(before, owner="c")
