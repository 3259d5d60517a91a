"""What `make run` starts: servers, migrations, then the processes of the Procfile, until Ctrl-C.

A process that crashes is started again; one that cannot start, or crashes again and again, ends the hub. Whatever ends
it (Ctrl-C, SIGTERM, `kill -9`, a closed terminal, a child), nothing it started stays behind.
"""

import fcntl
import os
import signal
import subprocess  # nosec B404  # started from lists of our own, without a shell
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from honcho.environ import parse_procfile

from brokerhub import embedded
from brokerhub.launcher_checks import CannotStart, check_database, check_port, check_redis, port_of
from brokerhub.supervisor import Supervisor

BASE_DIR = Path(__file__).resolve().parent.parent
SANDBOX_APP = {
    "SCHWAB_APP_KEY": "sandbox0schwab0app0key0000000001",
    "SCHWAB_APP_SECRET": "sandboxsecret001",  # nosec B105  # of the sandbox only
    "ALPACA_CLIENT_ID": "sandbox0alpaca0client000000000001",
    "ALPACA_CLIENT_SECRET": "sandboxalpacasecret01",  # nosec B105  # of the sandbox only
    "IBKR_CONSUMER_KEY": "SANDBOXAA",
}


def main() -> int:
    """Exit code: 0 when asked to stop, the failing child's otherwise."""
    for ending in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(ending) is not signal.SIG_IGN:  # as under nohup
            signal.signal(ending, _leave)
    with ExitStack() as to_undo:
        try:
            environment = prepare(os.environ, to_undo)
            return supervise(environment)
        except (CannotStart, embedded.EmbeddedError) as error:
            print(f"The hub cannot start: {error}", file=sys.stderr)
            return 1
        except subprocess.CalledProcessError as error:
            print(f"The hub cannot start: `{error.cmd[1]} {error.cmd[2]}` failed, see above.", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 0


def _leave(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def prepare(given: Mapping[str, str], to_undo: ExitStack) -> dict[str, str]:
    """Check what the user chose, start what is missing, migrate. The environment for the hub's processes."""
    port, sandbox_port = port_of(given, "PORT", 8000), port_of(given, "SANDBOX_PORT", 8900)
    if port == sandbox_port:
        raise CannotStart(f"PORT and SANDBOX_PORT are both {port}; choose two.")
    check_port("PORT", port)
    environment = children_environment(given, port, sandbox_port)
    if uses_own_sandbox(environment):
        check_port("SANDBOX_PORT", sandbox_port)
    var_dir = Path(environment["VAR_DIR"])
    claim(var_dir, to_undo)
    if not given.get("DATABASE_URL") or not given.get("REDIS_URL"):
        to_undo.callback(embedded.stop, var_dir)
    if given.get("DATABASE_URL"):
        check_database(given["DATABASE_URL"])
    else:
        print("Starting PostgreSQL ...", flush=True)
        environment["DATABASE_URL"] = embedded.database_url(var_dir)
    if given.get("REDIS_URL"):
        check_redis(given["REDIS_URL"])
    else:
        environment["REDIS_URL"] = embedded.redis_url(var_dir)
    print("Bringing the database up to date ...", flush=True)
    manage(environment, "migrate", "--no-input", "--verbosity", "0")
    manage(environment, "load_broker_catalogue", "--verbosity", "0")
    manage(environment, "load_execution_figures", "--verbosity", "0")
    manage(environment, "import_ratings", "--verbosity", "0")
    if environment.get("MODE") == "production":  # in development the web process serves the files where they lie
        manage(environment, "collectstatic", "--no-input", "--verbosity", "0")
    return environment


def children_environment(given: Mapping[str, str], port: int, sandbox_port: int) -> dict[str, str]:
    """The sandbox stands in for the brokers, unless production or an app key of the user's own says otherwise."""
    var_dir = Path(given.get("VAR_DIR") or BASE_DIR / "var").resolve()
    base_url = given.get("BASE_URL") or f"http://127.0.0.1:{port}"
    environment = dict(given) | {
        "PORT": str(port),
        "SANDBOX_PORT": str(sandbox_port),
        "VAR_DIR": str(var_dir),
        "BASE_URL": base_url,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{given.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
    }
    is_live = given.get("MODE") == "production" or any(given.get(name) for name in SANDBOX_APP)
    environment.setdefault("BROKERS_SANDBOX_URL", "" if is_live else f"http://127.0.0.1:{sandbox_port}")
    if environment["BROKERS_SANDBOX_URL"]:
        back = f"{base_url.rstrip('/')}/connections/callback"
        callbacks = {
            "SANDBOX_SCHWAB_CALLBACKS": f"https://127.0.0.1:8182,{back}/schwab",
            "SANDBOX_ALPACA_CALLBACKS": f"{back}/alpaca",
            "SANDBOX_IBKR_CALLBACKS": f"{back}/ibkr",
        }
        environment = SANDBOX_APP | callbacks | sandbox_keys(var_dir / "sandbox") | environment
    return environment


def sandbox_keys(folder: Path) -> dict[str, str]:
    """Where the sandbox lays the key files of the hub's registration at Interactive Brokers, and the hub finds them."""
    return {
        "SANDBOX_IBKR_KEYS": str(folder),
        "IBKR_SIGNING_KEY": str(folder / "SANDBOXAA_signing.pem"),
        "IBKR_ENCRYPTION_KEY": str(folder / "SANDBOXAA_encryption.pem"),
        "IBKR_DH_PRIME": str(folder / "SANDBOXAA_dhprime.txt"),
    }


def uses_own_sandbox(environment: Mapping[str, str]) -> bool:
    return environment["BROKERS_SANDBOX_URL"] == f"http://127.0.0.1:{environment['SANDBOX_PORT']}"


def claim(var_dir: Path, to_undo: ExitStack) -> None:
    """Hold VAR_DIR until the end. The kernel gives it back, so a killed launcher blocks nobody."""
    try:
        (var_dir / "run").mkdir(mode=0o700, parents=True, exist_ok=True)
        (var_dir / "static").mkdir(exist_ok=True)  # WhiteNoise warns where it is missing
        lock = to_undo.enter_context((var_dir / "run" / "launcher.lock").open("w"))
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CannotStart(
            f"a hub is already running from {var_dir}; stop it, or set VAR_DIR to another folder."
        ) from None
    except OSError as error:
        raise CannotStart(f"VAR_DIR ({var_dir}) cannot be used: {error.strerror}.") from error


def manage(environment: Mapping[str, str], *arguments: str) -> None:
    command = [sys.executable, "manage.py", *arguments]
    subprocess.run(command, cwd=BASE_DIR, env=environment, stdin=subprocess.DEVNULL, check=True)  # nosec B603  # a list of our own, without a shell


def supervise(environment: dict[str, str]) -> int:
    commands = dict(parse_procfile((BASE_DIR / "Procfile").read_text()).processes)
    ports = [int(environment["PORT"])]
    demo = None
    if uses_own_sandbox(environment):
        ports.append(int(environment["SANDBOX_PORT"]))
        demo = [sys.executable, str(BASE_DIR / "manage.py"), "demo"]
    else:
        del commands["sandbox"]
    ready = f"The hub is at {environment['BASE_URL']}\nPress Ctrl-C to stop it.\n"
    quiet = environment | {"LOG_LEVEL": "WARNING"}  # what the demo says stands beside the address
    supervisor = Supervisor(quiet, ports=ports, first=demo, ready=ready)
    for name, command in commands.items():
        supervisor.add_process(name, command, env=environment, cwd=str(BASE_DIR))
    print("Starting " + ", ".join(commands) + " ...", flush=True)
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main())
