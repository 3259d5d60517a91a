"""The arithmetic of signing against the published vectors. The prime is short only to keep them readable."""

import base64

import pytest

from connections.sandbox.ibkr import signing
from connections.sandbox.ibkr.registration import GENERATOR, PRIME

P, A, B = 0xFFFFFFFFFFFFFFC5, 0x1234567, 0x2000
SECRET = bytes.fromhex("00112233445566778899aabbccddeeff" * 2)
TOKEN = base64.b64decode("+GBkZFhEYbkT8Ru/MbdTGFbKaUQ=")
PARAMETERS = {
    "oauth_consumer_key": "SANDBOXAA",
    "oauth_nonce": "abcdefgh12345678",
    "oauth_signature_method": "HMAC-SHA256",
    "oauth_timestamp": "1790000000",
    "oauth_token": "a1b2c3d4e5f6a7b8c9d0",
}
ACCOUNTS = "https://api.ibkr.com/v1/api/portfolio/accounts"


def test_both_sides_of_the_agreement_come_to_the_same_key() -> None:
    assert f"{pow(2, A, P):x}" == "40b0a7a082a6a905"
    assert f"{pow(2, B, P):x}" == "623f79d435cdc670"
    assert pow(pow(2, A, P), B, P) == pow(pow(2, B, P), A, P)


def test_a_key_whose_top_bit_is_set_gets_a_zero_byte_in_front() -> None:
    shared = pow(pow(2, A, P), B, P)
    assert signing.shared_key_bytes(shared).hex() == "009508d576dd86cd20"
    assert signing.shared_key_bytes(0x7F) == b"\x7f"
    assert signing.shared_key_bytes(0x80) == b"\x00\x80"


def test_the_live_session_token_is_the_published_one() -> None:
    assert signing.live_session_token(pow(pow(2, A, P), B, P), SECRET) == TOKEN
    assert signing.token_signature(TOKEN, "SANDBOXAA") == "458d5cd3bb1a20ce8a37caf1b60cbdd782ce682d"


def test_a_call_is_signed_as_published() -> None:
    text = signing.base_string("GET", ACCOUNTS, PARAMETERS.items())
    assert text == (
        "GET&https%3A%2F%2Fapi.ibkr.com%2Fv1%2Fapi%2Fportfolio%2Faccounts&oauth_consumer_key%3DSANDBOXAA%26"
        "oauth_nonce%3Dabcdefgh12345678%26oauth_signature_method%3DHMAC-SHA256%26oauth_timestamp%3D1790000000%26"
        "oauth_token%3Da1b2c3d4e5f6a7b8c9d0"
    )
    assert signing.mac(TOKEN, text) == "Vr3h1E46vleyfW/ZA1+ViLLaJUyUb0LVlVwMU91RjaM="


def test_the_prepend_stands_before_the_method_without_anything_between() -> None:
    text = signing.base_string("POST", ACCOUNTS, PARAMETERS.items(), prepend="00ff")
    assert text.startswith("00ffPOST&https")


def test_values_of_a_query_are_encoded_once() -> None:
    text = signing.base_string("GET", ACCOUNTS, [("conids", "1,2")])
    assert text.endswith("&conids%3D1%2C2")


def test_a_header_is_read_whatever_stands_between_its_parameters() -> None:
    header = 'OAuth realm="limited_poa",oauth_nonce="a",   oauth_signature="a%2Bb%3D"'
    assert signing.parameters(header) == {"realm": "limited_poa", "oauth_nonce": "a", "oauth_signature": "a+b="}


@pytest.mark.parametrize("header", ["", "Bearer abc", "OAuth nonsense", 'OAuth a="1", a="2"', 'OAuth a="1" b="2"'])
def test_what_is_no_oauth_header_is_refused(header: str) -> None:
    with pytest.raises(signing.Malformed):
        signing.parameters(header)


def test_strictly_only_the_documented_form_of_a_query_is_taken() -> None:
    def forms(*, strict: bool) -> list[str]:
        query = [("page", "0")]
        return list(signing.candidates("GET", ACCOUNTS, PARAMETERS, [], query, "page=0", strict=strict))

    assert forms(strict=True) == [signing.base_string("GET", ACCOUNTS, [*PARAMETERS.items(), ("page", "0")])]
    assert len(set(forms(strict=False))) == 3


def test_the_prime_is_the_2048_bit_group_of_rfc_3526() -> None:
    """A safe prime that starts and ends with 64 ones, checked with Fermat's little theorem."""
    assert PRIME.bit_length() == 2048
    assert PRIME >> 1984 == PRIME & (2**64 - 1) == 2**64 - 1
    assert pow(GENERATOR, PRIME - 1, PRIME) == 1
    assert pow(3, (PRIME - 1) // 2 - 1, (PRIME - 1) // 2) == 1
