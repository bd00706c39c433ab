"""The example domain: notes, with full-text search, import and export, and a stream of events.

settings.py   its SERVICE_* variables
models.py     the shapes of requests and answers
routes.py     HTTP: one note, lists, import and export, events
store.py      operations on notes: get, create, replace, delete, list
queries.py    all SQL of the domain
transfer.py   import and export, streamed
feed.py       the event stream
cleanup.py    removes expired Idempotency-Keys and events
page/         its part of the page at /: a fragment, a style sheet and modules
"""

from pathlib import Path

from service.domain import Built, Domain, Machinery
from service.domains.notes.cleanup import Cleanup
from service.domains.notes.feed import Feed
from service.domains.notes.routes import blueprint
from service.domains.notes.settings import NoteSettings


def _build(machinery: Machinery) -> Built:
    settings, registry = machinery.settings.of(NoteSettings), machinery.metrics.registry
    feed = Feed(settings, machinery.database, machinery.lifecycle, registry)
    cleanup = Cleanup(settings, machinery.database, registry)
    routes = blueprint(machinery.database, feed, settings.import_timeout, machinery.settings.max_body)
    return Built(routes, tasks=(feed.run, cleanup.run))


DOMAIN: Domain = Domain(
    build=_build,
    summary="Notes.",
    settings=NoteSettings,
    links={"notes": "/notes", "events": "/notes/events"},
    page=Path(__file__).parent / "page",
)
