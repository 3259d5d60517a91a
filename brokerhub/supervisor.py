"""honcho's Manager, which also says when all is up, starts again what crashes, and says why it ended."""

import multiprocessing
import os
import re
import select
import signal
import subprocess  # nosec B404  # started from lists of our own, without a shell
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import IO, Any

from honcho.manager import SYSTEM_PRINTER_NAME, Manager
from honcho.printer import Message, Printer
from honcho.process import Popen, Process

STOPPED = re.compile(r"(\S+) stopped \(rc=(-?\d+)\)")
POLL_SECONDS = 0.2
BACK_OFF = (1.0, 2.0, 4.0)  # seconds before each new start; one crash more, and the hub gives up
FORGIVEN_SECONDS = 60.0  # a crash so long ago counts no more


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


class Life:
    """What the supervisor and the helper of each process share: whether the hub is up, and whether it ends.

    The end is the end of a pipe, so that a supervisor which is killed ends its processes too.
    """

    def __init__(self, back_off: Sequence[float]) -> None:
        self.back_off = back_off
        self._up = multiprocessing.RawValue("b", 0)
        self._ends, self._held = multiprocessing.Pipe(duplex=False)

    @property
    def is_up(self) -> bool:
        return bool(self._up.value)

    def is_up_now(self) -> None:
        self._up.value = 1

    def end(self) -> None:
        """In the supervisor: every helper hears of it. In a helper, at its start: only the supervisor's hand counts."""
        self._held.close()

    def ends_within(self, seconds: float | None) -> bool:
        """Wait for the end; None waits for as long as it takes."""
        return self._ends.poll(seconds)


class Kept(Process):  # type: ignore[misc]  # honcho has no types
    """A process that is started again when it ends, once the hub is up; honcho runs this in a helper process.

    One that ends while the hub starts, or ever again, is wrong and not unlucky: its end ends the hub.
    """

    def __init__(self, *arguments: Any, life: Life, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._life = life

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        self._events = events
        self._life.end()
        for asked in (signal.SIGINT, signal.SIGTERM):  # this helper is to see its child's end
            signal.signal(asked, signal.SIG_IGN)
        crashes: list[float] = []
        while True:
            returncode = self._run_once()
            now = time.monotonic()
            crashes = [crash for crash in crashes if now - crash < FORGIVEN_SECONDS]
            if not self._life.is_up or len(crashes) == len(self._life.back_off):
                break
            if self._life.ends_within(0):
                break
            delay = self._life.back_off[len(crashes)]
            self._send_message(f"ended with exit code {returncode}; it is started again in {delay:g} s\n".encode())
            if self._life.ends_within(delay):
                break
            crashes.append(now)
        self._send_message({"returncode": returncode}, type="stop")

    def _run_once(self) -> int:
        self._child = child = Popen(self.cmd, env=self.env, cwd=self.cwd, preexec_fn=_heed_signals)
        self._send_message({"pid": child.pid}, type="start")
        ended = threading.Event()
        for job in (self._end_with_the_hub, self._end_its_children):
            threading.Thread(target=job, args=(child, ended), daemon=True).start()
        for line in iter(child.stdout.readline, b""):
            self._send_message(line)
        child.stdout.close()
        ended.wait()
        return int(child.returncode)

    def _end_with_the_hub(self, child: "subprocess.Popen[bytes]", ended: threading.Event) -> None:
        self._life.ends_within(None)
        if not ended.is_set():
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)

    def _end_its_children(self, child: "subprocess.Popen[bytes]", ended: threading.Event) -> None:
        """What a killed process leaves in its group holds its port and its output: in the next one's way."""
        child.wait()
        ended.set()
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def _heed_signals() -> None:
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_DFL)


class Supervisor(Manager):  # type: ignore[misc]  # honcho has no types
    """Runs processes until a signal comes or one of them cannot be kept running; then ends them all.

    Once each of `ports` answers HTTP it runs the command `first` in `environment` and prints its words, then `ready`;
    from then on the hub is up, and what crashes is started again after the seconds of `back_off`.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        ports: Sequence[int],
        first: Sequence[str] | None,
        ready: str,
        back_off: Sequence[float] = BACK_OFF,
    ) -> None:
        self.witness = Witness(sys.stdout)
        super().__init__(self.witness)
        self._life = Life(back_off)
        self._process_ctor = partial(Kept, life=self._life)
        self._environment, self._ports, self._first, self._ready = environment, ports, first, ready
        self._first_process: subprocess.Popen[str] | None = None
        self._ending = threading.Event()

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
        """Each helper ends its own process when told, so that none is forgotten that is just being started."""
        self._life.end()
        if force:
            self._sweep()

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
            self._life.is_up_now()
            self.witness.say(f"\n{said}{self._ready}")

    def _run_first(self) -> str:
        assert self._first is not None
        self._first_process = process = subprocess.Popen(  # nosec B603  # a list of our own, without a shell
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
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):  # nosec B310  # our own process on this machine
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
