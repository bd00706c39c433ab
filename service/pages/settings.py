"""The settings of the page: the addresses of other pages that it links to."""

from typing import Annotated

from pydantic import Field

from service.settings import Group

Link = Annotated[str, Field(pattern=r"^(https?://[^\s\x00-\x1f]+)?$")]


class PageSettings(Group):
    """Addresses of other pages. The page shows no link for an empty one."""

    link_tilt: Link = Field("", description="Address of Tilt, for a link on the page; no link if empty")
    link_grafana: Link = Field("", description="The same for Grafana")
    link_prometheus: Link = Field("", description="The same for Prometheus")
    link_jaeger: Link = Field("", description="The same for Jaeger")
