"""Requests to a gateway with k8s/components/identity, and what it has to decide.

They are asked of the workbench, of what a real istiod makes of the same files (test_identity.py), and of the gateway
of a cluster (tests/cluster/identity/test_gateway.py).
"""

from collections.abc import Mapping

from tests.workbench.ingress.decisions import Decision, Request, bearer
from tests.workbench.ingress.tokens import (
    AUDIENCE,
    EC,
    HOUR,
    ISSUER,
    NEXT,
    RSA,
    STOLEN_NAME,
    changed,
    claims,
    header_of,
    signed_with_public_key,
    token,
    unsigned,
)

ADA = {"x-user": "ada", "x-user-email": "ada@example.com", "x-user-roles": header_of("admin", "editor")}
NOBODY: Mapping[str, str] = {}
FORGED = [("x-user", "root"), ("x-user-email", "root@example.com"), ("x-user-roles", header_of("admin"))]
PREFLIGHT = [("origin", "https://app.example"), ("access-control-request-method", "GET")]


def _with(name: str, value: str, decision: Decision) -> Request:
    """A request for the API with one token."""
    return Request(name, decision, headers=[bearer(value)])


VALID = bearer(token())
NOW: int = claims()["iat"]

ASKED = ("/things", ADA)
PLACES = [
    Request("no token: the page", ("/", NOBODY), "/"),
    Request("no token: the page, with a query", ("/?a=/things", NOBODY), "/?a=/things"),
    Request("no token: the page's headers", ("/", NOBODY), "/", "HEAD"),
    Request("no token: a file of the page", ("/static/page.js", NOBODY), "/static/page.js"),
    Request("no token: a file of a part of the page", ("/static/things/page.js", NOBODY), "/static/things/page.js"),
    Request("no token: the docs", ("/docs", NOBODY), "/docs"),
    Request("no token: the description of the API", ("/openapi.json", NOBODY), "/openapi.json"),
    Request("no token: the identity provider", ("/auth/keys", NOBODY), "/auth/keys"),
    Request("no token: a sign-in", ("/auth/token", NOBODY), "/auth/token", "POST"),
    Request("no token: the API", 401),
    Request("no token: a thing", 401, "/things/1"),
    Request("no token: a stream", 401, "/things/events"),
    Request("no token: an import", 401, "/things/import", "POST"),
    Request("no token: what is not there", 401, "/nothing"),
    Request("no token: the provider's own page", 401, "/auth"),
    Request("no token: a sub-page of the docs", 401, "/docs/oauth2"),
    Request("a token: the page", ("/", ADA), "/", headers=[VALID]),
    Request("a token: what is not there", ("/nothing", ADA), "/nothing", headers=[VALID]),
]
METHODS = [
    *(
        Request(f"no token: {method} the API", 401, method=method)
        for method in ("POST", "PUT", "PATCH", "DELETE", "HEAD")
    ),
    *(Request(f"no token: {method} the page", 401, "/", method) for method in ("POST", "PUT", "DELETE", "OPTIONS")),
    *(
        Request(f"a token: {method} the API", ASKED, method=method, headers=[VALID])
        for method in ("POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
    ),
    Request("no token: a method in lower case", 400, "/", "get"),
    Request(
        "no token: another method for the API in a header",
        ("/", NOBODY),
        "/",
        headers=[("x-http-method-override", "DELETE")],
    ),
    Request("no token: a preflight", 401, method="OPTIONS", headers=PREFLIGHT),
    Request("a token: a preflight", 401, method="OPTIONS", headers=[*PREFLIGHT, VALID]),
]
TOKENS = [
    _with("valid", token(), ASKED),
    _with("valid, by the other key", token(RSA), ASKED),
    _with("valid, without the name of its key", token(EC, {"kid": ""}), ASKED),
    _with("one of several audiences", token(aud=["other", AUDIENCE]), ASKED),
    _with("no roles and no e-mail", token(email=None, groups=None), ("/things", {"x-user": "ada"})),
    _with("one role", token(groups=["admin"]), ("/things", {**ADA, "x-user-roles": "WyJhZG1pbiJd"})),
    _with("a list without roles", token(groups=[]), ("/things", {**ADA, "x-user-roles": header_of()})),
    _with("roles as a text", token(groups="admin"), ("/things", {**ADA, "x-user-roles": "admin"})),
    _with("no subject", token(sub=None), 403),
    _with("an empty subject", token(sub=""), 403),
    _with("expired", token(exp=NOW - HOUR), 401),
    _with("not valid yet", token(nbf=NOW + HOUR), 401),
    _with("no expiry", token(exp=None), ASKED),
    _with("another issuer", token(iss="https://issuer.example"), 401),
    _with("no issuer", token(iss=None), 401),
    _with("an issuer that begins in the same way", token(iss=f"{ISSUER}/"), 401),
    _with("another audience", token(aud="other"), 401),
    _with("no audience", token(aud=None), 401),
    _with("an audience that begins in the same way", token(aud=f"{AUDIENCE}s"), 401),
    _with("a key that is not published yet", token(NEXT), 401),
    _with("another key of the same name", token(STOLEN_NAME), 401),
    _with("a key that the token brings", token(STOLEN_NAME, {"jwk": STOLEN_NAME.as_dict(private=False)}), 401),
    _with("the name of a key of another algorithm", token(EC, {"kid": "rsa"}), 401),
    _with("unsigned", unsigned("none"), 401),
    _with("unsigned, in other letters", unsigned("None"), 401),
    _with("unsigned, but it says otherwise", unsigned("ES256"), 401),
    _with("signed with the public key", signed_with_public_key(), 401),
    _with("changed claims", changed(token(), sub="root"), 401),
    _with("a signature that is cut off", token()[:-4], 401),
    _with("two parts", token().rpartition(".")[0], 401),
    _with("no token at all", "abc", 401),
]
WHERE = [
    Request("in the query", 401, f"/things?access_token={token()}"),
    Request("in a cookie", 401, headers=[("cookie", f"access_token={token()}; token={token()}")]),
    Request("in another header", 401, headers=[("x-authorization", f"Bearer {token()}")]),
    Request("without the scheme", 401, headers=[("authorization", token())]),
    Request("another scheme", 401, headers=[("authorization", f"Basic {token()}")]),
    Request("the scheme in lower case", 401, headers=[("authorization", f"bearer {token()}")]),
    Request("nothing after the scheme", 401, headers=[("authorization", "Bearer ")]),
    Request("two valid tokens", 401, headers=[VALID, bearer(token(sub="eve"))]),
    Request("a valid and an expired token", 401, headers=[VALID, bearer(token(exp=NOW - HOUR))]),
    Request("two tokens in one header", 401, headers=[("authorization", f"Bearer {token()}, Bearer {token()}")]),
    Request(
        "valid, and another one in the query",
        ("/things?access_token=abc", ADA),
        "/things?access_token=abc",
        headers=[VALID],
    ),
    Request("an invalid token for the page", 401, "/", headers=[bearer("abc")]),
    Request("an expired token for a sign-in", 401, "/auth/token", "POST", [bearer(token(exp=NOW - HOUR))]),
]
FORGERY = [
    Request("forged: no token", 401, headers=FORGED),
    Request("forged: no token, the page", ("/", NOBODY), "/", headers=FORGED),
    Request("forged: the identity provider", ("/auth/keys", NOBODY), "/auth/keys", headers=FORGED),
    Request("forged: a token", ASKED, headers=[*FORGED, VALID]),
    Request("forged: the token comes first", ASKED, headers=[VALID, *FORGED]),
    Request(
        "forged: a token without these claims",
        ("/things", {"x-user": "ada"}),
        headers=[*FORGED, bearer(token(email=None, groups=None))],
    ),
    Request("forged: in capitals", ("/", NOBODY), "/", headers=[("X-USER", "root"), ("X-User-Roles", "admin")]),
    Request(
        "forged: a preflight of the provider", ("/auth/keys", NOBODY), "/auth/keys", "OPTIONS", [*PREFLIGHT, *FORGED]
    ),
    Request(
        "forged: with an underscore", ("/", NOBODY), "/", headers=[("x_user", "root"), ("x_user_roles", "admin")]
    ),
    Request("forged: twice", ASKED, headers=[VALID, *FORGED, *FORGED]),
    Request("forged: on a folded line", ASKED, headers=[VALID, ("x-user", "\r\n root")]),
    Request("forged: after the fold of another header", ASKED, headers=[VALID, ("x-other", "a\r\n x-user: root")]),
    Request("forged: a space before the colon", 400, headers=[VALID, ("x-user ", "root")]),
    Request("forged: a zero byte", 400, headers=[VALID, ("x-user", "root\0")]),
    Request("forged: removed as a header of the connection", ASKED, headers=[VALID, ("connection", "x-user")]),
    Request("forged: a token that the connection removes", 401, headers=[VALID, ("connection", "authorization")]),
    Request("forged: Envoy's own header", 401, headers=[("x-envoy-original-path", "/"), ("x-rewrite-url", "/")]),
]
PATHS = [
    Request("path: dots", 401, "/static/../things"),
    Request("path: dots, encoded", 401, "/static/%2e%2e/things"),
    Request("path: dots, encoded in capitals", 401, "/static/%2E%2E/things"),
    Request("path: dots, encoded twice", ("/static/%252e%252e/things", NOBODY), "/static/%252e%252e/things"),
    Request("path: dots and an encoded slash", ("/static/..%2fthings", NOBODY), "/static/..%2fthings"),
    Request("path: dots from the provider", 401, "/auth/../things"),
    Request("path: a backslash", 401, "/static\\..\\things"),
    Request("path: a backslash, encoded", 401, "/static%5c..%5cthings"),
    Request("path: two slashes", 401, "//things"),
    Request("path: two slashes, and a file", 401, "//static/page.js"),
    Request("path: dots before two slashes", 401, "/static/..//things"),
    Request("path: one dot", ("/docs", NOBODY), "/./docs"),
    Request("path: a slash at the end", 401, "/docs/"),
    Request("path: capitals", 401, "/DOCS"),
    Request("path: an encoded letter", ("/docs", NOBODY), "/%64ocs"),
    Request("path: an encoded slash", 401, "/static%2fpage.js"),
    Request("path: a parameter", 401, "/docs;a=b"),
    Request("path: a fragment", 401, "/things#/docs"),
    Request("path: a question mark, encoded", 401, "/docs%3fa"),
    Request("path: a zero byte, encoded", 400, "/docs%00"),
    Request("path: a file's name and nothing before it", 401, "/page.js"),
    Request("path: the beginning of a folder's name", 401, "/statics/page.js"),
    Request("path: of another host", 401, "http://localhost/things"),
    Request("path: the page of another host", ("/docs", NOBODY), "http://localhost/docs"),
    Request("path: a stream under a public name", ("/static/events", NOBODY), "/static/events"),
]
# What a browser sends for a page of another site: cookies of this one, if there were some, but no Authorization.
CROSS_SITE = [
    ("origin", "https://other.example"),
    ("referer", "https://other.example/"),
    ("sec-fetch-site", "cross-site"),
    ("cookie", f"access_token={token()}; session={token()}; csrf=a; authorization=Bearer {token()}"),
]
HANDSHAKE = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
]
FORMS = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a")
OTHER_SITES = [
    *(
        Request(f"other site: {method} {target}", 401, target, method, CROSS_SITE)
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")
        for target in ("/things", "/things/1", "/things/events", "/things/export", "/things/import")
    ),
    *(
        Request(f"other site: a form of {form}", 401, "/things", "POST", [*CROSS_SITE, ("content-type", form)])
        for form in FORMS
    ),
    Request("other site: a form for the page", 401, "/", "POST", [*CROSS_SITE, ("content-type", FORMS[1])]),
    Request("other site: a WebSocket", 401, "/things/events", headers=[*CROSS_SITE, *HANDSHAKE]),
    Request("other site: a sandboxed frame", 401, headers=[("origin", "null"), *CROSS_SITE[1:]]),
    Request("other site: the page", ("/", NOBODY), "/", headers=CROSS_SITE),
    Request("a token: a WebSocket", ("/things/events", ADA), "/things/events", headers=[VALID, *HANDSHAKE]),
]
TABLE = [*PLACES, *METHODS, *TOKENS, *WHERE, *FORGERY, *PATHS, *OTHER_SITES]
EXPECTED = {request.name: request.decision for request in TABLE}
