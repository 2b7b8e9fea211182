"""The runtime role of a service in its database: who it is, and its password."""

from urllib.parse import unquote, urlsplit

import asyncpg

from service_kit.settings import ConfigurationError, ServiceSettings


def login(settings: ServiceSettings) -> tuple[str, str]:
    """The role's name and password, as the database knows them; raises ConfigurationError."""
    runtime = urlsplit(settings.postgres_dsn)
    if not runtime.username or runtime.password is None:
        raise ConfigurationError(["the runtime role needs a user and a password in its DSN"])
    return unquote(runtime.username), unquote(runtime.password)


def quoted(text: str) -> str:
    """A literal of SQL; roles are altered by statements that take no parameters."""
    return "'" + text.replace("'", "''") + "'"


async def set_password(admin_url: str, settings: ServiceSettings) -> None:
    """Give the role the password of the settings. Who is connected stays connected."""
    user, password = login(settings)
    admin = await asyncpg.connect(admin_url)
    try:
        await admin.execute(f'ALTER ROLE "{user}" PASSWORD {quoted(password)}')
    finally:
        await admin.close()
