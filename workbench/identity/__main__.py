"""The process of the provider: python -m workbench.identity PORT URL COMPONENT DATA SECRETS.

It listens on 127.0.0.1, and is reached through the ingress at URL. COMPONENT is the folder with dex.yaml, DATA that
of the workbench's data, SECRETS that of the passwords. It ends at SIGTERM or SIGINT. Exit status 1 after an error.
"""

import asyncio
import signal
import sys
from pathlib import Path

from hypercorn.asyncio import serve
from hypercorn.config import Config

from workbench.errors import DataFolderError, WorkbenchError
from workbench.identity.app import make_app
from workbench.identity.data import Files
from workbench.identity.grants import Grants
from workbench.identity.keys import open_key
from workbench.identity.registered import passwords_of, read
from workbench.ingress.rule_files import IngressRuleError
from workbench.machine.folders import display_path

GRACE = 0.5  # s for the requests in flight at the end
KEEP_ALIVE = 75.0  # s; longer than the ingress keeps a connection, so that no request meets one that is being closed


def main(port: str, url: str, component: str, data: str, secrets: str) -> int:
    try:
        asyncio.run(run(int(port), url, Path(component), Files.of(Path(data)), Path(secrets)))
    except (WorkbenchError, IngressRuleError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"error: {error.filename}: {error.strerror}\n")
        return 1
    return 0


async def run(port: int, url: str, component: Path, files: Files, secrets: Path) -> None:
    registered = read(component, url)
    files.folder.mkdir(mode=0o700, exist_ok=True)
    damaged = files.key
    try:
        key = open_key(files.key)
        damaged = files.grants
        grants = Grants(files.grants)
    except ValueError as error:
        raise DataFolderError(f"{display_path(damaged)} {error}: remove it, and everybody signs in again") from error
    app = make_app(registered, passwords_of(registered.users, secrets), key, grants)

    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await serve(app, server(port), shutdown_trigger=stopped.wait)


def server(port: int) -> Config:
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.loglevel = "WARNING"
    config.graceful_timeout = GRACE
    config.keep_alive_timeout = KEEP_ALIVE
    return config


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
