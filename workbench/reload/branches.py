"""Which database belongs to the files: with `make dev BRANCH_DATABASES=yes` that of the git branch.

The code of a branch must not run, and its migrations must not be applied, on the database of another branch. So the
files are read together with the branch while git changes nothing, and moved() says later whether both are still that.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from workbench.machine.checkout import Checkout
from workbench.reload import code
from workbench.reload.candidate import SupersededError
from workbench.reload.service_environment import OWNER_URL
from workbench.reload.service_process import ServiceProcess
from workbench.reload.tasks import first_of

GIT_FOLDER = "RELOAD_GIT_FOLDER"
SERVER = "RELOAD_BRANCH_SERVER"

_URLS = ("SERVICE_DATABASE_URL", OWNER_URL)


class OneDatabase:
    """The database is always the one that the environment names."""

    head: Path | None = None
    """The file to watch for another branch."""

    @property
    def seen(self) -> tuple[str, str | None]:
        """Git's folder, or "" if nothing follows the branch, and the branch that was read."""
        return "", None

    async def read(self) -> dict[Path, bytes]:
        """The files of the service."""
        return code.read()

    async def variables(self, again: bool) -> dict[str, str]:
        """What names the database of the files that were read. `again`: ask even if the branch is still the same.

        Raises BranchDatabaseError, and SupersededError if the branch is another one now.
        """
        return {}

    def moved(self, version: str) -> bool:
        """Whether the branch and the files are no longer those that were read; that change is still to be taken."""
        return False

    async def tell_subscribers(self, old: ServiceProcess, new: ServiceProcess) -> None:
        """Runs until the old process has ended. Streams that go on with another database have missed events."""


class BranchDatabase(OneDatabase):
    """Each branch has a database. While HEAD is no branch, as in a rebase, the one before stays in use."""

    def __init__(self, git: Path, server: str, urls: Mapping[str, str], say: Callable[[str], None]) -> None:
        """`server` is the URL of its database `postgres`; `urls` has those of a database that is to be replaced."""
        self.head = git / "HEAD"
        self._checkout = Checkout(git)
        self._server = server
        self._urls = {name: urlsplit(urls[name]) for name in _URLS}
        self._say = say
        self._branch: str | None = None
        self._known: tuple[str | None, str] | None = None  # a branch and its database

    @property
    def seen(self) -> tuple[str, str | None]:
        return str(self._checkout.folder), self._branch

    async def read(self) -> dict[Path, bytes]:
        while True:
            before = await self._checkout.settled()
            self._branch = self._checkout.branch()
            files = code.read()
            if await self._checkout.settled() == before:
                return files

    async def variables(self, again: bool) -> dict[str, str]:
        branch = self._branch
        if again or self._known is None or branch not in (None, self._known[0]):
            self._known = branch, await self._use(branch)
            if self._checkout.branch() != branch:  # a copy takes a while
                raise SupersededError
        return {name: url._replace(path=f"/{self._known[1]}").geturl() for name, url in self._urls.items()}

    def moved(self, version: str) -> bool:
        return self._checkout.branch() != self._branch or code.version(code.read()) != version

    async def tell_subscribers(self, old: ServiceProcess, new: ServiceProcess) -> None:
        from workbench.parts.branch_databases import tell_subscribers

        url = new.environment[OWNER_URL]
        if url != old.environment[OWNER_URL]:
            await first_of(old.ended)
            await tell_subscribers(url)

    async def _use(self, branch: str | None) -> str:
        from workbench.parts.branch_databases import branch_databases  # imports asyncpg, which is seldom needed

        async with branch_databases(self._server) as databases:
            used = await databases.use(branch)
        if used.made or (self._known and self._known[1] != used.name):
            made = f", {used.made}" if used.made else ""
            self._say(f"branch {branch}: database {used.name}{made}")
        return used.name
