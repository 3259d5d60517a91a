"""The whole hub as `make run` starts it: web, worker, beat, sandbox and embedded servers, in a folder of its own."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from brokerhub.launcher import SANDBOX_APP

ROOT = Path(__file__).resolve().parents[2]
READY = "Press Ctrl-C to stop it."
START_LIMIT, STOP_LIMIT = 120, 30  # seconds
OF_THE_TESTS = {"DATABASE_URL", "REDIS_URL", "BROKERS_SANDBOX_URL", *SANDBOX_APP}


@dataclass(frozen=True)
class RunningHub:
    url: str
    sandbox_url: str
    log: list[str]  # every line its processes have written so far
    environment: dict[str, str]  # for a command of manage.py that works on it


def _free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


@pytest.fixture(scope="session")
def running_hub() -> Iterator[RunningHub]:
    """One hub for all tests of this process; each of them signs up people of its own."""
    with tempfile.TemporaryDirectory(prefix="brokerhub-e2e-") as folder:
        Path(folder).chmod(0o711)
        bare = {name: value for name, value in os.environ.items() if name not in OF_THE_TESTS}
        environment = bare | {"VAR_DIR": folder, "PORT": _free_port(), "SANDBOX_PORT": _free_port()}
        environment |= {"ROBINHOOD_PRIVATE_LOGIN": "1"}  # so that every way to connect is offered
        process = subprocess.Popen(
            [sys.executable, "-m", "brokerhub.launcher"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        hub = RunningHub(
            f"http://127.0.0.1:{environment['PORT']}",
            f"http://127.0.0.1:{environment['SANDBOX_PORT']}",
            [],
            environment,
        )
        ready = threading.Event()
        reader = threading.Thread(target=_read, args=(process, hub.log, ready))
        reader.start()
        try:
            assert ready.wait(START_LIMIT), "".join(hub.log[-40:])
            assert process.poll() is None, "".join(hub.log[-40:])
            yield hub
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(STOP_LIMIT)
            reader.join(STOP_LIMIT)


def _read(process: "subprocess.Popen[str]", log: list[str], ready: threading.Event) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        log.append(line)
        if READY in line:
            ready.set()
    ready.set()  # it ended: whoever waits will see that
