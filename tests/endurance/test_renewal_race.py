"""Many processes race to renew one connection's access at a broker that takes each refresh token once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from connections import connection_manager
from connections.states import ConnectionState

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("processes", "rounds"),
    [pytest.param(6, 5, id="few"), pytest.param(50, 1_000, id="many", marks=pytest.mark.endurance)],
)
def test_each_round_has_one_exchange_and_the_same_access_for_all(
    processes, rounds, connect, person, sandbox, hub_environment, measured
):
    connection = connect(person)
    sandbox.limit(None)
    sandbox.fault("rotate_refresh_token", "token")
    with measured(f"{rounds:,} rounds of {processes} processes"):
        race = subprocess.run(
            [sys.executable, "-m", "tests.endurance.racers", str(connection.pk), str(processes), str(rounds)],
            cwd=ROOT,
            env=hub_environment | {"LOG_LEVEL": "WARNING"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert race.returncode == 0, race.stderr
    assert json.loads(race.stdout) == {"in_rounds": [1] * rounds, "in_all": rounds}
    exchanges = [call["status"] for call in sandbox.calls("token")][1:]  # the first was the sign-in
    assert exchanges == [200] * rounds
    connection_manager.refresh_credentials(connection)
    assert connection.state == ConnectionState.CONNECTED
