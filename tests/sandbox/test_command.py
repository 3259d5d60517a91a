"""`manage.py sandbox` from the outside."""

import subprocess
import sys

import pytest

from tests.plugins.sandbox_server import ROOT


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "manage.py"), "sandbox", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com"])
def test_it_listens_on_loopback_only(host: str) -> None:
    finished = run("--host", host, "--port", "0")
    assert finished.returncode != 0
    assert "loopback" in finished.stderr


def test_a_taken_port_is_one_clear_sentence(sandbox_server: str) -> None:
    finished = run("--port", sandbox_server.rpartition(":")[2])
    assert finished.returncode != 0
    assert "Choose another with --port" in finished.stderr
    assert "Traceback" not in finished.stderr
