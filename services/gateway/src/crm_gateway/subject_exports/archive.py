"""An archive that is written as it is taken: memory holds a piece of it, whatever its size."""

import io
import time
from typing import IO, Any, Self
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo


class _Taken(io.RawIOBase):
    """What was written since somebody took it away; nobody can go back in it."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._written += data
        return len(data)

    def take(self) -> bytes:
        """All of it, once."""
        taken = bytes(self._written)
        self._written.clear()
        return taken


class Archive:
    """A zip: its files are written one after the other, within it as a context.

    `take` gives what was written since; behind the context, also what says where each file is.
    """

    def __init__(self) -> None:
        self._sink = _Taken()
        self._zip = ZipFile(self._sink, "w")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def has(self, name: str) -> bool:
        """Whether a file of this name is in it."""
        return name in self._zip.NameToInfo

    def file(self, name: str, *, compressed: bool) -> IO[bytes]:
        """A new file, to be written and closed before the next."""
        info = ZipInfo(name, date_time=time.gmtime()[:6])
        info.compress_type = ZIP_DEFLATED if compressed else ZIP_STORED
        return self._zip.open(info, "w", force_zip64=True)

    def take(self) -> bytes:
        """What was written since somebody took it."""
        return self._sink.take()
