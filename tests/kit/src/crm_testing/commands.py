"""What operators type, run as they run it: processes with an environment."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crm_dev.postgres import binaries

_OURS = ("PATH", "HOME", "LANG", "TMPDIR")
_PROGRAM = Path(sys.executable).with_name("crm")
_BACKUP = Path(__file__).parents[4] / "deploy" / "backup"


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
    return await _ran(_PROGRAM, *words, **environment)


async def backup(tool: str, directory: Path, admin_url: str, *schemas: str) -> Said:
    """Run a tool of `deploy/backup`, `dump` or `restore`, to its end."""
    where = {"DATABASE_ADMIN_URL": admin_url, "PG_BIN": str(binaries())}
    return await _ran(_BACKUP / tool, str(directory), *schemas, **where)


async def _ran(program: Path, *words: str, **environment: str) -> Said:
    process = await asyncio.create_subprocess_exec(
        program,
        *words,
        env={name: os.environ[name] for name in _OURS if name in os.environ} | environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return Said(process.returncode or 0, out.decode(), err.decode())
