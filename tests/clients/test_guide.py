"""The journeys of docs/api.md, run as they stand there against a running hub."""

import os
import re
import shutil
import sys

import pytest

from tests.clients.commands import ROOT, run
from tests.plugins.running_hub import RunningHub

GUIDE = (ROOT / "docs" / "api.md").read_text()


def journey(heading: str, language: str) -> str:
    """All code of one section, in its order."""
    section = GUIDE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 4
    return "\n".join(blocks)


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="needs curl and jq")
def test_the_journey_in_curl_leads_to_a_copy_of_the_books(tmp_path, running_hub: RunningHub):
    for name in ("manage.py", "Procfile"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    script = "set -euo pipefail\n" + journey("A journey in curl", "bash")
    said = run(["bash", "-c", script], tmp_path, running_hub.environment | {"HUB": running_hub.url})
    assert '"code": "not_found"' in said
    assert "RateLimit-Remaining: " in said
    copied = len((tmp_path / "copy.jsonl").read_text().splitlines())
    assert copied > len((tmp_path / "transactions.tsv").read_text().splitlines()) > 0


def test_the_journey_in_python_connects_syncs_reads_and_leaves(tmp_path, access):
    script = tmp_path / "journey.py"
    script.write_text(journey("A journey in Python", "python"))
    said = run([sys.executable, script], tmp_path, os.environ | access)
    assert re.search(r"^   [\d.]+ [A-Z]+ [\d.]+ USD$", said, re.MULTILINE), said
