"""The access log of the gateway has no token, wherever a client puts it.

Its format is in k8s/istio/install.yaml. The workbench's gateway writes no access log.
"""

import json
from pathlib import Path
from typing import Any

from tests.k8s.project import istio_install
from tests.workbench.ingress.decisions import bearer
from tests.workbench.ingress.gateway import StartGateway
from tests.workbench.ingress.provider import Provider
from tests.workbench.ingress.stub_replicas import StubReplica
from tests.workbench.ingress.tokens import EC, token
from workbench.ingress.envoy_json import Json
from workbench.machine.folders import IDENTITY


def file_log(file: Path) -> Json:
    """What istiod makes of the format."""
    mesh = istio_install()["meshConfig"]
    assert mesh["accessLogEncoding"] == "JSON"
    kind = "type.googleapis.com/envoy.extensions"
    formatter = {"@type": f"{kind}.formatter.req_without_query.v3.ReqWithoutQuery"}
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": f"{kind}.access_loggers.file.v3.FileAccessLog",
            "path": str(file),
            "log_format": {
                "json_format": json.loads(mesh["accessLogFormat"]),
                "formatters": [{"name": "envoy.formatter.req_without_query", "typed_config": formatter}],
            },
        },
    }


async def test_no_token_is_in_the_access_log(start_gateway: StartGateway, tmp_path: Path) -> None:
    file = tmp_path / "access.log"

    def with_log(bootstrap: dict[str, Any]) -> None:
        [manager] = bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"]
        manager["typed_config"]["access_log"] = [file_log(file)]

    valid, expired = token(), token(exp=1)
    requests = [
        ("/things", [bearer(valid)], 200),
        ("/things", [bearer(expired)], 401),
        (f"/things?access_token={valid}", [], 401),
        (f"/docs?code={valid}", [("cookie", f"token={valid}"), ("x-user", valid)], 200),
    ]
    provider = Provider(EC)
    async with provider.running():
        gateway = await start_gateway(
            StubReplica(), components=[IDENTITY], identity_port=provider.port, change=with_log
        )
        for target, headers, status in requests:
            assert (await gateway.client.get(target, headers=headers)).status_code == status
        gateway.process.terminate()  # it writes the log at its end
        await gateway.process.wait()

    text = file.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(line["path"], line["response_code"]) for line in lines] == [
        (target.partition("?")[0], status) for target, _, status in requests
    ]
    assert [part for part in (*valid.split("."), *expired.split(".")) if part in text] == []
