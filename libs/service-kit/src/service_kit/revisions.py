"""Which schema a service's code needs; told without Alembic, whose 11 MB a process can do without.

Revisions are linear and their files are named after them: `0001_contacts.py`, `0002_...`.
"""

from importlib.resources import files


def head_revision(package: str) -> str:
    """The newest revision in `<package>/migrations/versions`; LookupError when there is none."""
    versions = files(package) / "migrations" / "versions"
    revisions = [f.name.partition("_")[0] for f in versions.iterdir() if f.name[0].isdigit()]
    if not revisions:
        raise LookupError(f"{package} has no migrations")
    return max(revisions)
