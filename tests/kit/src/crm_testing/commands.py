"""The operator's command `crm`, run as an operator runs it: a process with an environment."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_OURS = ("PATH", "HOME", "LANG", "TMPDIR")
_PROGRAM = Path(sys.executable).with_name("crm")


@dataclass(frozen=True)
class Said:
    """What it printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def documents(self) -> list[Any]:
        """Its lines, each a JSON document."""
        return [json.loads(line) for line in self.out.splitlines()]


async def crm(*words: str, **environment: str) -> Said:
    """Run `crm <words>` with these settings and no others, to its end."""
    process = await asyncio.create_subprocess_exec(
        _PROGRAM,
        *words,
        env={name: os.environ[name] for name in _OURS if name in os.environ} | environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return Said(process.returncode or 0, out.decode(), err.decode())
