"""`python -m shared_events.contracts [--check]`: write, or check, the committed contract."""

import argparse
import json
import sys
from pathlib import Path

from shared_events.contracts import compatibility
from shared_events.contracts.documents import Document, all_documents

FOLDER = Path(__file__).parent.parent


def main() -> None:
    """Exit 1, naming the field, when the contract breaks or (`--check`) is not up to date."""
    parser = argparse.ArgumentParser(prog="python -m shared_events.contracts")
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    arguments = parser.parse_args()
    generated = all_documents()
    problems = broken(generated, FOLDER)
    if arguments.check:
        problems += outdated(generated, FOLDER)
    elif not problems:
        write(generated, FOLDER)
    for problem in problems:
        print(problem)  # noqa: T201 - the command's own output
    sys.exit(1 if problems else 0)


def broken(generated: dict[str, Document], folder: Path) -> list[str]:
    """Changes against the committed documents that would break somebody.

    What nobody was ever given may be broken: delete its entry from the committed file first.
    """
    found = []
    for file, findings in (
        ("contract.json", compatibility.contract_findings),
        ("topology.json", compatibility.topology_findings),
    ):
        if (folder / file).exists():
            found += findings(json.loads((folder / file).read_text()), generated[file])
    return found


def outdated(generated: dict[str, Document], folder: Path) -> list[str]:
    """Files that differ from what the code says now."""
    return [
        f"{file}: not up to date; run `make contracts` and commit"
        for file, document in generated.items()
        if not (folder / file).exists() or (folder / file).read_text() != rendered(document)
    ]


def write(generated: dict[str, Document], folder: Path) -> None:
    """Write the documents anew."""
    for file, document in generated.items():
        (folder / file).write_text(rendered(document))


def rendered(document: Document) -> str:
    """JSON as it is committed: readable diffs, no needless escapes."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
