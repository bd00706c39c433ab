"""The example domain: notes, with full-text search, import and export, and a stream of events.

models.py     the shapes of requests and answers
routes.py     HTTP: one note, lists, import and export, events
store.py      operations on notes: get, create, replace, delete, list
queries.py    the SQL on notes; their table is in migrations/notes/
page/         their part of the page at /: a fragment, a style sheet and modules
"""

from pathlib import Path

from service.domain import Built, Domain, Machinery
from service.domains.notes.routes import blueprint


def _build(machinery: Machinery) -> Built:
    settings = machinery.settings
    feed = machinery.feeds.of("notes")
    return Built(blueprint(machinery.database, feed, settings.import_timeout, settings.max_body))


DOMAIN: Domain = Domain(
    build=_build,
    summary="Notes.",
    owned=True,
    links={"notes": "/notes", "events": "/notes/events"},
    page=Path(__file__).parent / "page",
)
