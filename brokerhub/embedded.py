"""PostgreSQL and Redis from wheels, for whoever has set no DATABASE_URL or REDIS_URL.

Any number of processes may ask for a URL at once and again: the first starts the server, the others attach to it. The
server lives as long as one of them does, or until `stop`. Three locks under `VAR_DIR/run` settle who does what; the
kernel drops a lock together with its process, so `kill -9` leaves nothing to tidy:

    attached.lock   shared by every process that was given a URL, until it ends
    start.lock      held while servers are looked at, started or stopped
    keeper.lock     held by the keeper: one waiting process that stops the servers once nobody is attached

The wheels' own launchers are not used. Valkey's is killed together with the process that started it; PostgreSQL's
trusts process ids it wrote down, which lie after `kill -9` or a reboot, and opens root's folders to every reader.
"""

import fcntl
import os
import signal
import subprocess  # nosec B404  # started from lists of our own, without a shell
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brokerhub.embedded_servers import EmbeddedError, Postgres, Redis

__all__ = ["EmbeddedError", "database_url", "redis_url", "stop"]

BASE_DIR = Path(__file__).resolve().parent.parent

_attached: dict[Path, int] = {}  # VAR_DIR to the descriptor that holds its shared lock
_keepers: dict[Path, subprocess.Popen[bytes]] = {}  # only those this process started
_in_this_process = threading.Lock()


def database_url(var_dir: Path) -> str:
    """URL of the embedded PostgreSQL in `var_dir`, started if need be. Raises EmbeddedError, a sentence."""
    return _url(Postgres, var_dir)


def redis_url(var_dir: Path) -> str:
    """URL (unix://PATH?db=0) of the embedded Redis in `var_dir`, started if need be. Raises EmbeddedError."""
    return _url(Redis, var_dir)


def stop(var_dir: Path) -> None:
    """Stop both servers and the keeper, whoever is attached; nothing running is fine. Raises EmbeddedError."""
    var_dir = var_dir.resolve()
    if not (var_dir / "run").is_dir():
        return
    with _in_this_process, _locked(var_dir, "start.lock"):
        _stop_servers(var_dir)
        _dismiss_keeper(var_dir)
        descriptor = _attached.pop(var_dir, None)
        if descriptor is not None:
            os.close(descriptor)


def _url(kind: type[Postgres] | type[Redis], var_dir: Path) -> str:
    var_dir = var_dir.resolve()
    with _in_this_process:
        try:
            (var_dir / "run").mkdir(mode=0o700, parents=True, exist_ok=True)
            if var_dir not in _attached:
                _attached[var_dir] = _lock(var_dir, "attached.lock", fcntl.LOCK_SH)
            with _locked(var_dir, "start.lock"):
                _ensure_keeper(var_dir)
                server = kind(var_dir)
                server.ensure_running()
                return server.url
        except OSError as error:
            raise EmbeddedError(
                f"the embedded servers cannot use {var_dir} ({error.strerror or error}); set VAR_DIR to a folder of "
                "your own, or DATABASE_URL and REDIS_URL."
            ) from error


def _stop_servers(var_dir: Path) -> None:
    Redis(var_dir).stop()
    Postgres(var_dir).stop()


def _lock(var_dir: Path, name: str, how: int) -> int:
    """Descriptor holding the lock. Raises BlockingIOError where `how` has LOCK_NB and another process holds it."""
    descriptor = os.open(var_dir / "run" / name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, how)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def _locked(var_dir: Path, name: str) -> Iterator[None]:
    descriptor = _lock(var_dir, name, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def _ensure_keeper(var_dir: Path) -> None:
    try:
        descriptor = _lock(var_dir, "keeper.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    # The lock goes to the keeper with its descriptor, so there is no moment in which two could start.
    with (var_dir / "run" / "keeper.log").open("ab") as log:
        _keepers[var_dir] = keeper = subprocess.Popen(  # nosec B603  # a list of our own, without a shell
            [sys.executable, "-m", "brokerhub.embedded", str(var_dir), str(descriptor)],
            cwd=BASE_DIR,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[descriptor],
            start_new_session=True,  # Ctrl-C in the terminal is not meant for it
        )
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(keeper.pid).encode())
    os.close(descriptor)


def _dismiss_keeper(var_dir: Path) -> None:
    try:
        descriptor = _lock(var_dir, "keeper.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        # Only a living keeper holds this lock, so the process id inside cannot be an old one.
        os.kill(int((var_dir / "run" / "keeper.lock").read_text()), signal.SIGTERM)
        descriptor = _lock(var_dir, "keeper.lock", fcntl.LOCK_EX)
    os.close(descriptor)
    own = _keepers.pop(var_dir, None)
    if own is not None:
        own.wait()


def keep(var_dir: Path, office: int) -> None:
    """The keeper's whole life, `office` being its hold on keeper.lock.

    New processes that attach meanwhile are let in first. Later ones wait for its end, and then find the office vacant:
    it is given back before anybody is let in. `stop` at the same moment waits, and finds nothing left to do.
    """
    descriptor = _lock(var_dir, "attached.lock", fcntl.LOCK_EX)
    with _locked(var_dir, "start.lock"):
        _stop_servers(var_dir)
    os.close(office)
    os.close(descriptor)


if __name__ == "__main__":
    keep(Path(sys.argv[1]), int(sys.argv[2]))
