"""What a program needs to call the hub that `make run` starts."""

import sys

import pytest

from tests.clients.commands import ROOT, run
from tests.plugins.running_hub import RunningHub


@pytest.fixture
def access(running_hub: RunningHub) -> dict[str, str]:
    """Address and fresh token of the demo person, as `manage.py api_token` prints it."""
    from brokerhub import demo  # imports models, which a conftest may not before Django is set up

    token = run([sys.executable, ROOT / "manage.py", "api_token", demo.EMAIL], ROOT, running_hub.environment)
    return {"HUB": running_hub.url, "HUB_TOKEN": token.strip()}
