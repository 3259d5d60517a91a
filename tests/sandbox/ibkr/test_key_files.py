"""Where the sandbox keeps the keys of its Interactive Brokers, so that a hub started beside it finds them."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from connections.sandbox.ibkr.registration import PRIME, THIRD_PARTY, lay_out_keys, standard_consumers


def test_the_third_partys_keys_lie_in_the_folder_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "keys"
    monkeypatch.setenv("SANDBOX_IBKR_KEYS", str(folder))
    lay_out_keys()
    written = load_pem_private_key((folder / f"{THIRD_PARTY}_signing.pem").read_bytes(), password=None)
    assert written.public_key() == standard_consumers()[THIRD_PARTY].signing.public
    assert int((folder / f"{THIRD_PARTY}_dhprime.txt").read_text(), 16) == PRIME
    assert (folder / f"{THIRD_PARTY}_encryption.pem").stat().st_mode & 0o077 == 0
    before = (folder / f"{THIRD_PARTY}_signing.pem").read_bytes()
    lay_out_keys()
    assert (folder / f"{THIRD_PARTY}_signing.pem").read_bytes() == before, "a restart keeps what was given"


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SANDBOX_IBKR_KEYS", raising=False)
    monkeypatch.chdir(tmp_path)
    lay_out_keys()
    assert list(tmp_path.iterdir()) == []
