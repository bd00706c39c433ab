"""What browsers get: the page at `/` and the API docs at `/docs`. Nothing comes from another host."""

from service.domain import Built, Domain, Machinery
from service.pages.routes import blueprint
from service.pages.settings import PageSettings


def _build(machinery: Machinery) -> Built:
    return Built(blueprint(machinery))


DOMAIN: Domain = Domain(build=_build, settings=PageSettings, links={"openapi": "/openapi.json", "docs": "/docs"})
