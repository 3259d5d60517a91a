"""Keys that are to outlive a process are kept in a folder; others nobody keeps."""

from pathlib import Path

import pytest

from connections.sandbox.ibkr.registration import KeyPair, private_pem, public_key


def test_a_key_is_kept_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_IBKR_KEYS", str(tmp_path / "keys"))
    first, again = KeyPair("signing"), KeyPair("signing")
    assert private_pem(first.private) == private_pem(again.private)
    kept = tmp_path / "keys" / "signing.pem"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.read_text() == private_pem(first.private)


def test_without_a_folder_each_process_has_keys_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SANDBOX_IBKR_KEYS", raising=False)
    assert private_pem(KeyPair("signing").private) != private_pem(KeyPair("signing").private)


def test_a_text_that_is_no_key_is_refused() -> None:
    with pytest.raises(ValueError):
        public_key("-----BEGIN PUBLIC KEY-----\nnothing\n-----END PUBLIC KEY-----")
