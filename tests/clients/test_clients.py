"""Clients made of docs/openapi.yaml by public generators walk along a running hub.

Neither client is in the repository: both are made anew in a folder of the test.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.commands import ROOT, run

HERE = Path(__file__).parent
SCHEMA = ROOT / "docs" / "openapi.yaml"
npm = shutil.which("npm")


def test_a_client_for_python_is_generated_and_walks_the_whole_way(tmp_path, access):
    config = tmp_path / "config.yaml"
    config.write_text("post_hooks: []\n")  # the code need not be beautiful
    generator = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning"]
    run([*generator, "--path", SCHEMA, "--output-path", tmp_path / "hub_client", "--config", config], tmp_path)
    said = run([sys.executable, HERE / "journey.py"], tmp_path, os.environ | access | {"PYTHONPATH": str(tmp_path)})
    assert said.startswith("2 accounts, ")


@pytest.mark.endurance
@pytest.mark.skipif(npm is None, reason="needs node and npm, which are not installed here")
def test_a_client_for_typescript_is_generated_checked_and_walks_the_whole_way(tmp_path, access):
    for name in ("package.json", "tsconfig.json", "journey.ts"):
        shutil.copy(HERE / name, tmp_path)
    if not _installed(tmp_path):
        pytest.skip("the npm registry cannot be reached from here")
    run([npm or "", "exec", "--offline", "--", "openapi-typescript", SCHEMA, "-o", "hub.d.ts"], tmp_path)
    run([npm or "", "exec", "--offline", "--", "tsc"], tmp_path)
    assert run(["node", "build/journey.js"], tmp_path, os.environ | access).startswith("2 accounts, ")


def _installed(folder: Path) -> bool:
    """False without a way to the registry; every other failure is one."""
    done = subprocess.run(
        [npm or "", "install", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    unreachable = any(word in done.stderr for word in ("ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "EAI_AGAIN"))
    assert done.returncode == 0 or unreachable, done.stderr
    return done.returncode == 0
