"""honcho's Manager, which also says when all is up, why it ended, and leaves no process behind."""

import os
import re
import select
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import IO

from honcho.manager import SYSTEM_PRINTER_NAME, Manager
from honcho.printer import Message, Printer

STOPPED = re.compile(r"(\S+) stopped \(rc=(-?\d+)\)")
POLL_SECONDS = 0.2


class Witness(Printer):  # type: ignore[misc]  # honcho has no types
    """Prints what the processes say; remembers what ended it all, and each one's last lines."""

    def __init__(self, output: IO[str]) -> None:
        super().__init__(output)
        self.asked_to_stop = False
        self.first_stopped: str | None = None
        self.said: dict[str, deque[str]] = {}

    def write(self, message: Message) -> None:
        if message.name == SYSTEM_PRINTER_NAME:
            if self.first_stopped is None and not self.asked_to_stop:
                self.asked_to_stop = message.data.endswith(" received\n")
                stopped = STOPPED.match(message.data)
                self.first_stopped = stopped[1] if stopped else None
            return
        text = message.data.decode("utf-8", "replace") if isinstance(message.data, bytes) else message.data
        self.said.setdefault(message.name, deque(maxlen=8)).append(text.rstrip())
        try:
            super().write(message)
        except OSError:
            self._terminal_is_gone()

    def say(self, text: str) -> None:
        try:
            print(text, file=self.output, flush=True)
        except OSError:
            self._terminal_is_gone()

    def _terminal_is_gone(self) -> None:
        """Stop, and let nothing that is still to be said keep the hub from stopping in order."""
        self.output = Path(os.devnull).open("w")  # noqa: SIM115 (open until the end)
        os.kill(os.getpid(), signal.SIGTERM)


class Supervisor(Manager):  # type: ignore[misc]  # honcho has no types
    """Runs processes until a signal comes or one of them ends; then ends them all.

    Once each of `ports` answers HTTP it runs the command `first` in `environment` and prints its words, then `ready`.
    """

    def __init__(
        self, environment: Mapping[str, str], *, ports: Sequence[int], first: Sequence[str] | None, ready: str
    ) -> None:
        self.witness = Witness(sys.stdout)
        super().__init__(self.witness)
        self._environment, self._ports, self._first, self._ready = environment, ports, first, ready
        self._first_process: subprocess.Popen[str] | None = None
        self._ending = threading.Event()
        self._is_asked_early = False

    def run(self) -> int:
        """0 after a signal; else what the first process to end returned, or 1 if that was 0."""
        # honcho's helpers inherit this: they must see their child's end.
        self._on_hangup = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            self.loop()
        finally:
            self._ending.set()
            self._sweep()
        if self.witness.asked_to_stop:
            return 0
        name = self.witness.first_stopped or ""
        last = "\n".join(f"  {line}" for line in self.witness.said.get(name, ["(nothing)"]))
        self.witness.say(
            f"\nThe hub stops, because {name} ended with exit code {self.returncode}. It said last:\n{last}"
        )
        return self.returncode or 1

    def _start(self) -> None:
        super()._start()
        if self._on_hangup is not signal.SIG_IGN:  # as under nohup
            signal.signal(signal.SIGHUP, _as_sigterm)
        for job in (
            self._announce,
            _stop_when_the_terminal_closes,
        ):  # only now: a thread would not survive honcho's forks
            threading.Thread(target=job, daemon=True).start()

    def _killall(self, force: bool = False) -> None:
        """As honcho's, but a signal may come before each process has told its number: then once more when all have."""
        for process in self._processes.values():
            if "pid" in process and "returncode" not in process:
                (self._procmgr.kill if force else self._procmgr.terminate)(process["pid"])
        if not self._all_started():
            self._is_asked_early, self._terminating = True, False

    def _any_stopped(self) -> bool:
        """What honcho's loop ends the others for, as soon as all have started."""
        return self._is_asked_early or super()._any_stopped()

    def _sweep(self) -> None:
        """End whatever a process left in its group: honcho starts each as the leader of one."""
        groups = [process["pid"] for process in self._processes.values() if "pid" in process]
        if self._first_process is not None and self._first_process.poll() is None:
            groups.append(self._first_process.pid)
        for group in groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)

    def _announce(self) -> None:
        for port in self._ports:
            while not _answers(port):
                if self._ending.wait(POLL_SECONDS):
                    return
        said = self._run_first() if self._first else ""
        if not self._ending.is_set():
            self.witness.say(f"\n{said}{self._ready}")

    def _run_first(self) -> str:
        assert self._first is not None
        self._first_process = process = subprocess.Popen(
            self._first,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        if self._ending.is_set():
            process.kill()
        said, _ = process.communicate()
        return said if process.returncode == 0 else f"The demo could not be loaded:\n{said}\n"


def _as_sigterm(signum: int, frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGTERM)


def _stop_when_the_terminal_closes() -> None:
    """A closed terminal tells only the first process of its session. Where that is `make`, it keeps it to itself."""
    if sys.stdout.isatty():
        terminal = select.poll()
        terminal.register(sys.stdout.fileno(), 0)  # a hang-up is told unasked
        if any(event & select.POLLHUP for _, event in terminal.poll()):
            os.kill(os.getpid(), signal.SIGTERM)


def _answers(port: int) -> bool:
    """Whether something speaks HTTP there; an error page is an answer too."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
