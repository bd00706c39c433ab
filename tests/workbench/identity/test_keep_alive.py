from workbench.identity.__main__ import server
from workbench.ingress.cluster import identity_cluster


def test_the_ingress_closes_an_idle_connection_before_the_provider_does() -> None:
    """Otherwise a request is answered with 503 when it meets a connection that is being closed."""
    [options] = identity_cluster("identity", 5556)["typed_extension_protocol_options"].values()
    idle = options["common_http_protocol_options"]["idle_timeout"]

    assert float(idle.removesuffix("s")) < server(5556).keep_alive_timeout
