"""A network between a process and its server that can fall silent: nothing passes or is lost."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Wire:
    """
    Forwards connections to an address, in threads.

    :ivar port: where it takes them, on 127.0.0.1.
    :ivar silent: whether nothing passes now.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._passes = threading.Event()
        self._passes.set()
        self._entrance = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._entrance.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def silent(self) -> bool:
        """Whether nothing passes now."""
        return not self._passes.is_set()

    def fall_silent(self) -> None:
        """Let nothing pass, neither bytes nor the ends of connections; new ones are accepted."""
        self._passes.clear()

    def pass_on(self) -> None:
        """Let all pass again, beginning with what was held back."""
        self._passes.set()

    def close(self) -> None:
        """Take no more connections; those that there are end with their processes."""
        self._passes.set()
        with suppress(OSError):
            self._entrance.shutdown(socket.SHUT_RDWR)
        self._entrance.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._entrance.accept()
                threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        self._passes.wait()
        with near, suppress(OSError), socket.create_connection(self._target) as far:
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=self._pump, args=(far, near), daemon=True)
            back.start()
            self._pump(near, far)
            back.join()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._passes.wait()
                target.sendall(data)
        self._passes.wait()
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
