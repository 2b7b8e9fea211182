"""The names of the internet as a test wants them, and changing between two looks."""

import socket
from collections import deque
from typing import Any, Self

_getaddrinfo = socket.getaddrinfo


class Names:
    """`with Names() as names: names.answer("shop.test", ["127.0.0.2"], ["127.0.0.1"])`.

    While it is entered, this process' look-ups of the names it knows are answered by it; each look
    takes the next answer, the last one stays (a rebinding name is two answers). No addresses is a
    name that is not known. Others, and addresses, are looked up as ever.
    """

    def __init__(self) -> None:
        self._answers: dict[str, deque[list[str]]] = {}
        self.looks: list[str] = []
        """The names that were looked up, one after the other."""

    def answer(self, name: str, *answers: list[str]) -> None:
        """Answer the next look-ups of a name with these addresses."""
        self._answers[name] = deque(answers)

    def __enter__(self) -> Self:
        socket.getaddrinfo = self._look_up
        return self

    def __exit__(self, *_: object) -> None:
        socket.getaddrinfo = _getaddrinfo

    def _look_up(self, host: Any, port: Any, *rest: Any, **named: Any) -> list[Any]:
        answers = self._answers.get(host)
        if answers is None:
            return _getaddrinfo(host, port, *rest, **named)
        self.looks.append(host)
        addresses = answers.popleft() if len(answers) > 1 else answers[0]
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            found
            for address in addresses
            for found in _getaddrinfo(address, port, 0, socket.SOCK_STREAM)
        ]
