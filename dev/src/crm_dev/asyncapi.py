"""AsyncAPI documents of all services, as files to look at or to publish."""

import os
import subprocess
from pathlib import Path

from crm_dev import stack


def write(directory: Path, folder: Path) -> list[Path]:
    """Write one document per service into the folder; nothing is started for it."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for piece in stack.declare(directory, os.environ).pieces:
        program, *verb = piece.command or ("",)
        if verb != ["run"]:
            continue
        found = subprocess.run(
            [program, "asyncapi"],
            env={**os.environ, **piece.environment},
            check=True,
            capture_output=True,
        )
        written.append(folder / f"{piece.name}.json")
        written[-1].write_bytes(found.stdout)
    return written
