"""`make agreement`: a platform of its own with two of each service, the run, and down again."""

import os
import sys

import uvloop

from bench.agreement.run import Wish, run
from bench.stack import running

PORT_BASE = "19360"


def main() -> int:
    """Run and print; 0 when all accounts told the same."""
    minutes = float(os.environ.get("MINUTES") or 60)
    wish = Wish(
        seconds=minutes * 60,
        per_second=float(os.environ.get("RATE") or 10),
        kill_every=float(os.environ.get("KILL_EVERY") or 60),
        seed=int(os.environ.get("SEED") or 0),
    )
    os.environ.setdefault("CRM_REPLICAS", "2")
    with running("agreement", PORT_BASE) as directory:
        print(f"\n{minutes:g} minutes, {wish.per_second:g} acts/s, seed {wish.seed}\n")
        faults = uvloop.run(run(directory, wish, lambda line: print(line, flush=True)))
    print("\n".join(faults) or "Webhooks, stream and feed told the same.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
