"""The settings of the page: where it links to."""

from typing import Annotated

from pydantic import Field

from service.settings import Group

Link = Annotated[str, Field(pattern=r"^(https?://[^\s\x00-\x1f]+)?$")]


class PageSettings(Group):
    """Addresses of other web pages; an empty one is not shown."""

    link_tilt: Link = Field("", description="Where the page links to Tilt; no link if empty")
    link_grafana: Link = Field("", description="The same for Grafana")
    link_prometheus: Link = Field("", description="The same for Prometheus")
    link_jaeger: Link = Field("", description="The same for Jaeger")
