"""`python -m shared_events.contracts [--check]`: write, or check, the committed contract."""

import argparse
import json
import sys
from pathlib import Path

from shared_events.contracts import compatibility
from shared_events.contracts.documents import Document, all_documents

SCHEMAS = Path(__file__).parent.parent / "schemas"
_COMPARED = ("events/", "requests/", "replies/")


def main() -> None:
    """Exit 1, naming the field, when the contract breaks or (`--check`) is not up to date."""
    parser = argparse.ArgumentParser(prog="python -m shared_events.contracts")
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    arguments = parser.parse_args()
    generated = all_documents()
    problems = broken(generated, SCHEMAS)
    if arguments.check:
        problems += outdated(generated, SCHEMAS)
    elif not problems:
        write(generated, SCHEMAS)
    for problem in problems:
        print(problem)  # noqa: T201 - the command's own output
    sys.exit(1 if problems else 0)


def broken(generated: dict[str, Document], folder: Path) -> list[str]:
    """Incompatible changes against the committed schemas.

    A contract that nobody was ever given may be broken: delete its file first.
    """
    problems = []
    for file in _committed(folder):
        if not file.startswith(_COMPARED):
            continue
        if file not in generated:
            problems.append(f"{file}: the contract is gone; keep it until nobody uses it")
            continue
        old = json.loads((folder / file).read_text())
        found = compatibility.findings(old, generated[file])
        problems += [f"{file}: {finding}; give it a new version" for finding in found]
    return problems


def outdated(generated: dict[str, Document], folder: Path) -> list[str]:
    """Files that differ from what the code says now."""
    committed = set(_committed(folder))
    return [
        f"{file}: not up to date; run `make contracts` and commit"
        for file in sorted(committed | generated.keys())
        if file not in generated
        or file not in committed
        or (folder / file).read_text() != rendered(generated[file])
    ]


def write(generated: dict[str, Document], folder: Path) -> None:
    """Make the folder hold exactly the generated documents."""
    for file in set(_committed(folder)) - generated.keys():
        (folder / file).unlink()
    for file, document in generated.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rendered(document))


def rendered(document: Document) -> str:
    """JSON as it is committed: readable diffs, no needless escapes."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _committed(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.json"))


if __name__ == "__main__":
    main()
