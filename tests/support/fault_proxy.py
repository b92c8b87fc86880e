"""A TCP proxy that stands between client and server and does harm as it is told to."""

import socket
import threading
from contextlib import suppress

_CHUNK = 65_536
_SLOW_CHUNK, _SLOW_PAUSE = 2048, 0.02


def _answer(status, body):
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n{body}".encode()


class FaultProxy:
    """Forwards to `target`, `host:port`. Use as a context; `endpoint` is where clients go.

    `harm` holds for each new connection: None; "refused" (closed at once); "cut" (the answer ends after `after` bytes);
    "late" (the answer is lost: the server gets the request, the client nothing); "slow" (2 KB every 20 ms); "stuck" (no
    answer, until there is another harm or none); or bytes, which are the answer (`BUSY`). With `times` the next so many
    connections only are harmed.
    """

    BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    SKEWED = _answer(
        "403 Forbidden",
        "<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and the server's "
        "time is too large.</Message></Error>",
    )
    """What S3 says to a client whose clock is wrong."""

    def __init__(self, target):
        host, _, port = target.rpartition(":")
        self._target = host, int(port)
        self.harm, self.after, self.harmed = None, 400, 0
        self._left = None
        self._relieved = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = set()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def endpoint(self):
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self):
        self._threads[0].start()
        return self

    def __exit__(self, *_):
        self._relieved.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        for thread in self._threads:
            thread.join(10)

    def do(self, harm, times=None, after=400):
        """From now on, and on connections that are open: they are closed, so that clients make new ones."""
        self._relieved.set()
        self._relieved = threading.Event()
        self.harm, self._left, self.after = harm, times, after
        self.hang_up()

    def hang_up(self):
        with self._lock:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client, self._harm_now()), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _harm_now(self):
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                return None
        self.harmed += self.harm is not None
        return self.harm

    def _serve(self, client, harm):
        with self._lock:
            self._open.add(client)
        with suppress(OSError), client:
            if isinstance(harm, bytes):
                client.recv(_CHUNK)
                client.sendall(harm)
            elif harm == "stuck":
                self._relieved.wait()
            elif harm != "refused":
                self._forward(client, {"cut": self.after, "late": 0}.get(harm), slow=harm == "slow")
        with self._lock:
            self._open.discard(client)

    def _forward(self, client, most, *, slow):
        with socket.create_connection(self._target, timeout=30) as server:
            back = threading.Thread(target=self._pipe, args=(client, server, None), daemon=True)
            back.start()
            self._pipe(server, client, most, slow=slow)
            back.join(30)

    def _pipe(self, source, target, most, *, slow=False):
        with suppress(OSError):
            while (data := source.recv(_SLOW_CHUNK if slow else _CHUNK)) and most != 0:
                if slow:
                    self._relieved.wait(_SLOW_PAUSE)
                data = data if most is None else data[:most]
                target.sendall(data)
                most = None if most is None else most - len(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
