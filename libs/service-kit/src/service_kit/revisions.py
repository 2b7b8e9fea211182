"""Which schema a service's code needs; told without Alembic, whose 11 MB a process can do without.

Revisions are linear and their files are named after them: `0001_contacts.py`, `0002_...`. They
only expand the schema, so code runs on every schema as new as its own or newer: pods of two
versions side by side, and an image rolled back.
"""

from importlib.resources import files

from service_kit.database import Connection, NotConnectedError


def head_revision(package: str) -> str:
    """The newest revision in `<package>/migrations/versions`; LookupError when there is none."""
    versions = files(package) / "migrations" / "versions"
    revisions = [f.name.partition("_")[0] for f in versions.iterdir() if f.name[0].isdigit()]
    if not revisions:
        raise LookupError(f"{package} has no migrations")
    return max(revisions)


async def check_revision(connection: Connection, package: str) -> None:
    """Raise NotConnectedError while the schema is older than this code."""
    needed = head_revision(package)
    found: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    if found is None or found < needed:
        raise NotConnectedError(f"the schema is at revision {found}, the code needs {needed}")
