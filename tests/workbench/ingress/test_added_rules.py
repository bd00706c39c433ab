"""Rules that a person may add."""

from tests.workbench.ingress.gateway import EditRules, StartGateway, assert_problem
from tests.workbench.ingress.peers import Peer, Received


async def test_what_else_the_workbench_understands(start_gateway: StartGateway, edited_rules: EditRules) -> None:
    added = """
    - name: redirected
      match: [{ uri: { exact: /old } }]
      redirect: { uri: /new, authority: a.example, scheme: https, redirectCode: 308 }
    - name: rewritten
      match: [{ uri: { prefix: /v1/ }, queryParams: { page: { regex: "[0-9]+" } } }]
      rewrite: { uri: /, authority: b.example }
      headers:
        request: { set: { x-set: "1" }, add: { accept: text/plain }, remove: [x-removed] }
        response: { add: { x-added: "2" }, remove: [x-internal] }
      route: [{ destination: { host: slipway.slipway.svc.cluster.local, port: { number: 80 } } }]
    - name: aborted
      match: [{ headers: { x-fault: { prefix: ab } } }]
      fault: { abort: { httpStatus: 502, percentage: { value: 100 } } }
      route: [{ destination: { host: slipway.slipway.svc.cluster.local, port: { number: 80 } } }]
    - name: delayed
      match: [{ headers: { x-fault: { regex: "*" } } }]
      fault: { delay: { fixedDelay: 10s, percentage: { value: 0 } } }
      route: [{ destination: { host: slipway.slipway.svc.cluster.local, port: { number: 80 } } }]
    - name: without
      match: [{ uri: { regex: "/[Ww]ithout" }, withoutHeaders: { x-pass: { exact: "yes" } } }]
      directResponse: { status: 403, body: { string: "no" } }
"""

    async def respond(request: Received) -> None:
        await request.respond(200, b"ok", "x-internal: secret\r\n")

    peer = Peer(respond)
    rules = edited_rules(("virtualservice.yaml", "\n    - name: reads\n", f"{added}    - name: reads\n"))
    gateway = await start_gateway(peer, rules=rules)
    get = gateway.client.get

    redirected = await get("/old")
    assert (redirected.status_code, redirected.headers["location"]) == (308, "https://a.example/new")

    rewritten = await get("/v1/notes?page=1", headers={"x-removed": "1", "accept": "a/b"})
    assert peer.received[-1].target == "/notes?page=1"
    seen = peer.received[-1].headers
    assert (seen["host"], seen["x-set"], seen["accept"]) == ("b.example", "1", "a/b,text/plain")
    assert "x-removed" not in seen
    assert rewritten.headers["x-added"] == "2"
    assert "x-internal" not in rewritten.headers
    await get("/v1/notes?page=x")
    assert peer.received[-1].target == "/v1/notes?page=x"

    assert_problem(await get("/", headers={"x-fault": "abort"}), 502)
    assert (await get("/", headers={"x-fault": "other"})).status_code == 200

    refused = await get("/Without")
    assert (refused.status_code, refused.text) == (403, "no")
    assert (await get("/without", headers={"x-pass": "no"})).status_code == 403
    assert (await get("/without", headers={"x-pass": "yes"})).status_code == 200
