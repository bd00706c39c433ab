"""What browsers get: the page at `/` and the API docs at `/docs`. Nothing comes from another host."""

from service.domain import Built, Domain, Machinery
from service.pages.routes import blueprint


def _build(machinery: Machinery) -> Built:
    return Built(blueprint(machinery))


DOMAIN: Domain = Domain(build=_build, links={"openapi": "/openapi.json", "docs": "/docs"})
