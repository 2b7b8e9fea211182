"""`make service`: a new service from the skeleton, and what nobody can write for it."""

import re
import shutil
from pathlib import Path

from crm_dev.tidying import tidy

SKELETON = Path(__file__).parents[2] / "skeleton"
_NAME = re.compile(r"[a-z]+s")


def copy(name: str, root: Path) -> list[Path]:
    """Write the service into the checkout `root`; returns the new files, relative to it.

    `name` is a plural in one word (`surveys`); its noun is the singular. Raises ValueError for
    another name, FileExistsError when something of it is there already; then nothing is written.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r}: a plural in one word and small letters, such as surveys")
    new = {
        Path(_renamed(str(source.relative_to(SKELETON)), name)): source
        for source in sorted(SKELETON.rglob("*"))
        if source.is_file() and "__pycache__" not in source.parts
    }
    taken = [path for path in new if (root / path).exists()]
    if taken:
        raise FileExistsError(f"{taken[0]} is there already")
    for path, source in new.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_renamed(source.read_text(), name))
        shutil.copymode(source, target)
    tidy([root / path for path in new if path.suffix == ".py"])
    return list(new)


def _renamed(text: str, name: str) -> str:
    noun = name.removesuffix("s")
    for old, new in (("widget", noun), ("Widget", noun.title()), ("WIDGET", noun.upper())):
        text = text.replace(old, new)
    return text
