"""Generated Python in the project's own spelling."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def tidy(files: Sequence[Path]) -> None:
    """Sort the imports, drop those nobody uses, and format."""
    ruff = Path(sys.executable).with_name("ruff")
    for command in (["check", "--fix-only", "--select", "I,F401"], ["format"]):
        subprocess.run([ruff, *command, "--quiet", *files], check=True)
