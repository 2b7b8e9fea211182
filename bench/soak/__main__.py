"""`make soak`: a platform of its own with two of each service, the soak, and down again."""

import os
import sys

import uvloop

from bench.soak.run import Soak, Wish
from bench.stack import running

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
    os.environ.setdefault("CRM_REPLICAS", "2")
    with running("soak", PORT_BASE) as directory:
        print(f"\n{minutes:g} minutes, {wish.per_second:g} messages/s, seed {wish.seed}\n")
        verdict = uvloop.run(Soak(directory, wish, _tell).run())
    print(f"\n{verdict}\n")
    print("\n".join(verdict.faults) or "Nothing lost, nothing doubled, nothing out of order.")
    return 1 if verdict.faults else 0


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
