"""The contenders: the service and its peers, each as one process on one core."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workbench.errors import UsageError

POOL_SIZE = 10
LOAD_CORE = "1"
SERVER_CORE = "0"


@dataclass(frozen=True)
class Contender:
    """`{port}` in the command becomes its port. With `notes_only`, its only endpoint is GET of a note."""

    name: str
    """One word, for the command line."""
    command: Sequence[str]
    what: str
    settings: Mapping[str, str] = field(default_factory=dict)
    notes_only: bool = False

    @property
    def is_service(self) -> bool:
        return self.command == _SERVICE


_SERVICE = ("-m", "service")
_UVICORN = ("-m", "uvicorn", "--host", "127.0.0.1", "--port", "{port}", "--no-access-log", "--log-level", "warning")
_GRANIAN = (
    *("-m", "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}", "--loop", "uvloop"),
    *("--no-ws", "--log-level", "warning"),
)

SERVICE = Contender("service", _SERVICE, "the service on Hypercorn, the default")
ON_UVICORN = Contender("service-uvicorn", _SERVICE, "the service on uvicorn", {"SERVICE_SERVER": "uvicorn"})
REFERENCE = Contender(
    "fastapi",
    (*_UVICORN, "bench.notes.peers.fastapi_app:app"),
    "FastAPI, uvicorn, asyncpg, prometheus-fastapi-instrumentator",
)
ORIGINAL = Contender(
    "flask",
    (
        *("-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--workers", "1", "--threads", "16"),
        *(
            "--worker-class",
            "gthread",
            "--keep-alive",
            "75",
            "--no-control-socket",
            "bench.notes.peers.flask_app:app",
        ),
    ),
    "Flask, psycopg2 with a connection for each request, gunicorn with 16 threads; no metrics",
)

CONTENDERS = (
    SERVICE,
    ON_UVICORN,
    REFERENCE,
    Contender(
        "litestar",
        (*_UVICORN, "bench.notes.peers.litestar_app:app"),
        "Litestar, msgspec, uvicorn, asyncpg, Litestar's Prometheus middleware",
    ),
    Contender(
        "quart",
        (
            "-m",
            "hypercorn",
            "--bind",
            "127.0.0.1:{port}",
            "-k",
            "uvloop",
            "-w",
            "0",
            "bench.notes.peers.quart_app:app",
        ),
        "plain Quart on Hypercorn with uvloop, asyncpg, handwritten metrics",
    ),
    ORIGINAL,
    Contender(
        "bare-uvicorn",
        (*_UVICORN, "bench.notes.peers.asgi_app:app"),
        "a bare ASGI function on uvicorn, asyncpg; no metrics: about the minimum",
        notes_only=True,
    ),
    Contender(
        "bare-granian",
        (*_GRANIAN, "bench.notes.peers.asgi_app:app"),
        "the same function on granian",
        notes_only=True,
    ),
)


def chosen(names: Sequence[str]) -> Sequence[Contender]:
    """The contenders with these names. Raises UsageError if a name is unknown."""
    known = {contender.name: contender for contender in CONTENDERS}
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"no contender is called {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names]
