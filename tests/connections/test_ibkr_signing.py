"""OAuth 1.0a as Interactive Brokers wants it: the published vectors, and what holds for every key."""

import base64
import hmac
import re

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given
from hypothesis import strategies as st
from oauthlib.oauth1 import SIGNATURE_HMAC_SHA256, Client
from oauthlib.oauth1.rfc5849 import signature as rfc5849

from connections.brokers import ibkr_signing as signing

PRIME, PRIVATE, RESPONSE = 0xFFFFFFFFFFFFFFC5, 0x1234567, 0x623F79D435CDC670
SECRET = bytes.fromhex("00112233445566778899aabbccddeeff" * 2)
TOKEN = base64.b64decode("+GBkZFhEYbkT8Ru/MbdTGFbKaUQ=")
ACCOUNTS = "https://api.ibkr.com/v1/api/portfolio/accounts"
PROTECTED = {
    "oauth_consumer_key": "SANDBOXAA",
    "oauth_nonce": "abcdefgh12345678",
    "oauth_signature_method": "HMAC-SHA256",
    "oauth_timestamp": "1790000000",
    "oauth_token": "a1b2c3d4e5f6a7b8c9d0",
}
BASE_STRING = (
    "GET&https%3A%2F%2Fapi.ibkr.com%2Fv1%2Fapi%2Fportfolio%2Faccounts&oauth_consumer_key%3DSANDBOXAA%26oauth_nonce"
    "%3Dabcdefgh12345678%26oauth_signature_method%3DHMAC-SHA256%26oauth_timestamp%3D1790000000%26oauth_token"
    "%3Da1b2c3d4e5f6a7b8c9d0"
)
SIGNATURE = "Vr3h1E46vleyfW/ZA1+ViLLaJUyUb0LVlVwMU91RjaM="


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def test_both_sides_work_out_the_published_token():
    ours = signing.Agreement(PRIME, 2, PRIVATE)
    assert ours.challenge == "40b0a7a082a6a905"
    shared = ours.shared("623f79d435cdc670")
    assert signing.two_complement(shared) == bytes.fromhex("009508d576dd86cd20")
    token = signing.live_session_token(shared, SECRET)
    assert token == TOKEN
    assert signing.is_shared_by_both(token, "SANDBOXAA", "458d5cd3bb1a20ce8a37caf1b60cbdd782ce682d")


def test_without_the_sign_byte_the_token_is_another():
    """The top bit of this number is set, so Java writes a 00 ahead of it."""
    shared = signing.Agreement(PRIME, 2, PRIVATE).shared(f"{RESPONSE:x}")
    assert shared.bit_length() % 8 == 0
    without = hmac.digest(shared.to_bytes(8, "big"), SECRET, "sha1")
    assert base64.b64encode(without) == b"7R19ndSU+LANZNU5PayYYYzY4MA="
    assert without != signing.live_session_token(shared, SECRET)


def test_a_token_only_one_side_knows_is_noticed():
    assert not signing.is_shared_by_both(TOKEN, "SANDBOXAA", "458d5cd3bb1a20ce8a37caf1b60cbdd782ce682e")
    assert not signing.is_shared_by_both(TOKEN, "SANDBOXAB", "458d5cd3bb1a20ce8a37caf1b60cbdd782ce682d")
    assert not signing.is_shared_by_both(TOKEN, "SANDBOXAA", "")


def test_a_protected_call_is_signed_as_published():
    text = signing.base_string("GET", ACCOUNTS, PROTECTED)
    assert text == BASE_STRING
    assert signing.hmac_sha256(TOKEN, text) == SIGNATURE


def test_the_header_begins_with_the_realm_and_encodes_the_signature():
    assert signing.header("limited_poa", PROTECTED, SIGNATURE) == (
        'OAuth realm="limited_poa", oauth_consumer_key="SANDBOXAA", oauth_nonce="abcdefgh12345678", '
        'oauth_signature="Vr3h1E46vleyfW%2FZA1%2BViLLaJUyUb0LVlVwMU91RjaM%3D", oauth_signature_method="HMAC-SHA256", '
        'oauth_timestamp="1790000000", oauth_token="a1b2c3d4e5f6a7b8c9d0"'
    )


def test_the_challenge_stands_in_front_of_the_other_parameters_and_the_secret_in_front_of_all():
    oauth = PROTECTED | {"diffie_hellman_challenge": "40b0a7a082a6a905"}
    text = signing.base_string("POST", "https://api.ibkr.com/v1/api/oauth/live_session_token", oauth, prepend="00ff")
    assert text.startswith("00ffPOST&https%3A%2F%2Fapi.ibkr.com%2Fv1%2Fapi%2Foauth%2Flive_session_token&")
    assert text.partition("token&")[2].startswith("diffie_hellman_challenge%3D40b0a7a082a6a905%26oauth_consumer_key")


def test_values_of_a_query_are_encoded_once():
    text = signing.base_string("GET", "https://api.ibkr.com/v1/api/trsrv/secdef?conids=1%2C2", {"oauth_nonce": "n"})
    assert text == "GET&https%3A%2F%2Fapi.ibkr.com%2Fv1%2Fapi%2Ftrsrv%2Fsecdef&conids%3D1%2C2%26oauth_nonce%3Dn"


def test_the_public_half_of_the_key_confirms_a_signature(key):
    signed = signing.rsa_sha256(key, BASE_STRING)
    key.public_key().verify(base64.b64decode(signed), BASE_STRING.encode(), padding.PKCS1v15(), hashes.SHA256())


def test_a_secret_is_read_by_its_own_key_only(key):
    sealed = base64.b64encode(key.public_key().encrypt(SECRET, padding.PKCS1v15())).decode()
    assert signing.decrypted(key, sealed) == SECRET
    assert signing.decrypted(key, f"  {sealed[:60]}\n{sealed[60:]}\n") == SECRET, "as it is copied from a page"
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with pytest.raises(ValueError, match=r"not for this key|another length"):
        signing.decrypted(other, sealed)


@pytest.mark.parametrize("sealed", ["", "AAAA", "not base64!", "A" * 344])
def test_what_is_no_sealed_secret_is_not_read(key, sealed):
    with pytest.raises(ValueError):
        signing.decrypted(key, sealed)


@pytest.mark.parametrize("response", ["", "0", "1", f"{PRIME - 1:x}", f"{PRIME:x}", "-5", "xyz"])
def test_a_response_that_could_be_foretold_is_refused(response):
    with pytest.raises(ValueError):
        signing.Agreement(PRIME, 2, PRIVATE).shared(response)


def test_every_agreement_has_a_secret_of_its_own_that_it_does_not_tell():
    first, second = signing.Agreement.begin(PRIME, 2), signing.Agreement.begin(PRIME, 2)
    assert first.private != second.private
    assert first.private.bit_length() == signing.PRIVATE_BITS
    assert str(first.private) not in repr(first)


def as_java_writes_it(number):
    """BigInteger.toByteArray by its description: the fewest bytes with at least one bit for the sign."""
    size = -(-(number.bit_length() + 1) // 8)
    return number.to_bytes(size, "big", signed=True)


@given(st.integers(min_value=1, max_value=2**2048) | st.integers(1, 300).map(lambda bits: 2**bits))
def test_numbers_become_the_bytes_java_makes_of_them(number):
    assert signing.two_complement(number) == as_java_writes_it(number)


words = st.text(alphabet="abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=40)


@given(consumer=words, nonce=words, token=words, at=st.integers(0, 2**33))
def test_plain_parameters_give_what_oauthlib_gives(consumer, nonce, token, at):
    client = Client(
        consumer, "secret", token, "other", signature_method=SIGNATURE_HMAC_SHA256, nonce=nonce, timestamp=str(at)
    )
    _, headers, _ = client.sign(ACCOUNTS)
    told = dict(re.findall(r'(oauth_\w+)="([^"]*)"', headers["Authorization"]))
    told.pop("oauth_signature")
    ours = signing.oauth_parameters(consumer, "HMAC-SHA256", at=at, nonce=nonce, oauth_token=token)
    assert told == ours | {"oauth_version": "1.0"}, "which IBKR's samples leave out"
    normalized = rfc5849.normalize_parameters(list(ours.items()))  # type: ignore[arg-type]  # its hint is wrong: it sorts pairs
    theirs = rfc5849.signature_base_string("GET", rfc5849.base_string_uri(ACCOUNTS), normalized)
    assert signing.base_string("GET", ACCOUNTS, ours) == theirs
