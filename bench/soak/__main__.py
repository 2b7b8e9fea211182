"""`make soak`: a platform of its own with two of each service, the soak, and down again."""

import os
import shutil
import sys
from pathlib import Path

import uvloop
from crm_dev import commands

from bench.soak.run import Soak, Wish

PORT_BASE = "19200"
CALM = 1 / 3


def main() -> int:
    """Run and print; 0 when everything that was accepted came out once and in order."""
    minutes = float(os.environ.get("MINUTES") or 120)
    wish = Wish(
        seconds=minutes * 60,
        per_second=float(os.environ.get("RATE") or 100),
        kill_every=float(os.environ.get("KILL_EVERY") or 30),
        calm_seconds=minutes * 60 * CALM,
        seed=int(os.environ.get("SEED") or 0),
    )
    os.environ.setdefault("CRM_PORT_BASE", PORT_BASE)
    os.environ.setdefault("CRM_REPLICAS", "2")
    directory = Path(os.environ.get("CRM_DEV_DIR") or ".dev").absolute() / "soak"
    if directory.exists():
        commands.down(directory)
        shutil.rmtree(directory)
    directory.mkdir(parents=True)
    try:
        if commands.up(directory, [], foreground=False) != 0:
            return 1
        print(f"\n{minutes:g} minutes, {wish.per_second:g} messages/s, seed {wish.seed}\n")
        verdict = uvloop.run(Soak(directory, wish, _tell).run())
    finally:
        commands.down(directory)
    print(f"\n{verdict}\n")
    print("\n".join(verdict.faults) or "Nothing lost, nothing doubled, nothing out of order.")
    return 1 if verdict.faults else 0


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
