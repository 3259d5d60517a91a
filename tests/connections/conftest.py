"""A server for what the sandbox never says, and what happens in the middle of a renewal."""

import socket
import threading
from datetime import timedelta

import pytest
from django.utils import timezone

from connections.brokers.base import Grant
from connections.brokers.calls import Operation, call_finished


def whole(body, *headers, status=b"200 OK"):
    """One complete answer with its length; each header ends in CRLF."""
    said = b"".join([*headers, b"Connection: close\r\n"])
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, said, len(body), body)


@pytest.fixture
def answering():
    """`answering(bytes)` is the address of a server that says these bytes to everybody and then only holds the line.

    With `hang_up` it closes the line instead.
    """
    servers, lines = [], []

    def serve(server, said, hang_up):
        while True:
            try:
                line, _ = server.accept()
            except OSError:
                return
            lines.append(line)
            line.recv(65536)
            line.sendall(said)
            if hang_up:
                line.close()

    def start(said, hang_up=False):
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)
        threading.Thread(target=serve, args=(server, said, hang_up), daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}"

    yield start
    for open_socket in [*servers, *lines]:
        open_socket.close()


@pytest.fixture
def meanwhile():
    """`meanwhile(act)` runs `act` once, after the broker has answered a renewal and before the hub has saved it."""

    def arrange(act):
        def answered(call, **_):
            if call.operation is Operation.REFRESH:
                call_finished.disconnect(dispatch_uid="meanwhile")
                act()

        call_finished.connect(answered, weak=False, dispatch_uid="meanwhile")

    yield arrange
    call_finished.disconnect(dispatch_uid="meanwhile")


def some_grant():
    """A grant that is good for an hour, with a token nobody gave."""
    ends = timezone.now() + timedelta(hours=1)
    return Grant(secrets={"access_token": "a-token"}, access_expires_at=ends, authorization_expires_at=None)
