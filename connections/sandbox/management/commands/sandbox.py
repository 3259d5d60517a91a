"""`manage.py sandbox`: serve the brokers' other side on loopback."""

import ipaddress
import socket
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from gunicorn.app.base import BaseApplication

DEFAULT_PORT = 8900
THREADS = 32
BACKLOG = 128


class SandboxServer(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn with one worker: the sandbox's memory is the worker's memory."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        super().__init__()

    def load_config(self) -> None:
        options: dict[str, Any] = {
            "bind": f"fd://{self.listener.fileno()}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": THREADS,
            "graceful_timeout": 2,
            "loglevel": "warning",
            "control_socket_disable": True,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        from connections.sandbox.ibkr.registration import lay_out_keys
        from connections.sandbox.wsgi import application

        lay_out_keys()
        return application


class Command(BaseCommand):
    help = "Serve the sandbox: brokers and people that do not exist, on loopback only."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="a loopback address (127.0.0.1)")
        parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"0 takes a free one ({DEFAULT_PORT})")

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        listener = listen(host, port)
        self.stdout.write(f"Sandbox listening on http://{host}:{listener.getsockname()[1]}")
        self.stdout.flush()
        SandboxServer(listener).run()


def listen(host: str, port: int) -> socket.socket:
    """A socket that already accepts: whoever connects early waits until the worker is up. Raises CommandError."""
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise CommandError(f"The sandbox listens on loopback only, such as 127.0.0.1; {host} is not.")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise CommandError(
            f"Port {port} on {host} cannot be used ({error.strerror}). Choose another with --port."
        ) from error
    listener.set_inheritable(True)
    return listener
