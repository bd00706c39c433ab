"""Istio features that k8s/istio does not use, but that a service's own rules may use."""

from tests.workbench.ingress.changed_rules import EditRules
from tests.workbench.ingress.gateway import StartGateway
from tests.workbench.ingress.stub_replicas import Received, StubReplica
from tests.workbench.ingress.translation import VIRTUAL_SERVICE
from workbench.ingress.rules import SERVICE_HOST

FIRST = "    - name: refused\n"


async def test_features_that_a_person_may_add(start_gateway: StartGateway, edited_rules: EditRules) -> None:
    added = """\
    - name: redirected
      match: [{ uri: { exact: /old } }]
      redirect: { uri: /new, authority: a.example, scheme: https, redirectCode: 308 }
    - name: rewritten
      match: [{ uri: { prefix: /v1/ }, headers: { x-version: { prefix: "1." } } }]
      rewrite: { uri: / }
      headers:
        request: { set: { x-set: "1" }, add: { accept: text/plain }, remove: [x-removed] }
        response: { add: { x-added: "2" }, remove: [x-internal] }
      route: [{ destination: { host: THE_SERVICE, port: { number: 80 } } }]
    - name: answered
      match: [{ uri: { regex: "/[Aa]nswered" }, method: { exact: GET } }]
      directResponse: { status: 403 }
"""

    async def respond(request: Received) -> None:
        await request.respond(200, b"ok", "x-internal: secret\r\n")

    replica = StubReplica(respond)
    rules = edited_rules((VIRTUAL_SERVICE, FIRST, added.replace("THE_SERVICE", SERVICE_HOST) + FIRST))
    gateway = await start_gateway(replica, rules=rules)
    get = gateway.client.get

    redirected = await get("/old")
    assert (redirected.status_code, redirected.headers["location"]) == (308, "https://a.example/new")

    rewritten = await get("/v1/things?page=1", headers={"x-version": "1.2", "x-removed": "1", "accept": "a/b"})
    assert replica.received[-1].target == "/things?page=1"
    seen = replica.received[-1].headers
    assert (seen["x-set"], seen["accept"]) == ("1", "a/b,text/plain")
    assert "x-removed" not in seen
    assert rewritten.headers["x-added"] == "2"
    assert "x-internal" not in rewritten.headers
    await get("/v1/things", headers={"x-version": "2.0"})
    assert replica.received[-1].target == "/v1/things"

    assert (await get("/Answered")).status_code == 403
    assert (await get("/answered/")).status_code == 200
    assert (await gateway.client.head("/answered")).status_code == 200
