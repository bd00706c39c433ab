"""The routes of the provider, at the paths that Dex has too."""

import secrets
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from joserfc.jwk import RSAKey
from quart import Blueprint, Quart, Response, redirect, request

from workbench.identity import authorization, keys, pages
from workbench.identity.authorization import AuthorizationRequest, Back, RefusedTo
from workbench.identity.exchange import TokenEndpoint
from workbench.identity.forms import SCOPES, OAuthError, fields
from workbench.identity.grants import Grants
from workbench.identity.registered import Registered, User

CSRF = "csrf"
"""A field of the form, and a cookie: only this page knows the value of the cookie that its form has to repeat."""

_MAX_BODY = 64 * 1024
_JSON = {"cache-control": "no-store", "pragma": "no-cache", "x-content-type-options": "nosniff"}


def make_app(registered: Registered, passwords: Mapping[str, str], key: RSAKey, grants: Grants) -> Quart:
    """`passwords` has one for each user, by their name."""
    app = Quart(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY
    path = urlsplit(registered.issuer).path
    for blueprint in (
        _published(registered, key, path),
        _sign_in(registered, passwords, grants, path),
        _tokens(registered, key, grants, path),
    ):
        app.register_blueprint(blueprint)
    return app


def _published(registered: Registered, key: RSAKey, path: str) -> Blueprint:
    routes, issuer = Blueprint("published", __name__, url_prefix=path), registered.issuer
    discovery = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/auth",
        "token_endpoint": f"{issuer}/token",
        "jwks_uri": f"{issuer}/keys",
        "end_session_endpoint": f"{issuer}/logout",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [keys.ALGORITHM],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "scopes_supported": [*SCOPES],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "email", "email_verified", "name", "groups"],
        "request_uri_parameter_supported": False,
    }

    @routes.get("/.well-known/openid-configuration")
    async def configuration() -> Mapping[str, object]:
        return discovery

    @routes.get("/keys")
    async def public_keys() -> Mapping[str, object]:
        return keys.public_keys(key)

    @routes.get("/healthz")
    async def health() -> str:
        return "ok"

    return routes


def _sign_in(registered: Registered, passwords: Mapping[str, str], grants: Grants, path: str) -> Blueprint:
    routes = Blueprint("sign_in", __name__, url_prefix=path)

    @routes.get("/auth")
    async def ask() -> Response:
        try:
            return _form(_asked(registered), path)
        except RefusedTo as refused:
            return _to(refused.url)
        except OAuthError as error:
            return _message(error)

    @routes.post("/auth")
    async def answer() -> Response:
        try:
            asked = _asked(registered)
            form = fields((await request.form).items(multi=True))
        except RefusedTo as refused:
            return _to(refused.url)
        except OAuthError as error:
            return _message(error)
        name, cookie = form.get("name", ""), request.cookies.get(CSRF, "")
        if not cookie or not secrets.compare_digest(cookie.encode(), form.get(CSRF, "").encode()):
            return _form(asked, path, 403, name=name, problem="The form was old, or not of this page. Try again.")
        user = _authenticated(registered, passwords, name, form.get("password", ""))
        if user is None:
            return _form(asked, path, 401, name=name, problem="This name and this password do not belong together.")
        back = asked.back
        code = grants.new_code(asked.client.id, user.id, asked.scope, asked.nonce, back.redirect_uri, asked.challenge)
        return _to(back.url({"code": code}))

    return routes


def _tokens(registered: Registered, key: RSAKey, grants: Grants, path: str) -> Blueprint:
    routes, endpoint = Blueprint("tokens", __name__, url_prefix=path), TokenEndpoint(registered, key, grants)

    @routes.post("/token")
    async def token() -> tuple[Mapping[str, object], int, Mapping[str, str]]:
        try:
            return endpoint.answer(fields((await request.form).items(multi=True))), 200, _JSON
        except OAuthError as error:
            return error.fields(), error.status, _JSON

    @routes.route("/logout", methods=["GET", "POST"])
    async def logout() -> Response:
        """Revokes the refresh token of a sign-in. Without a session, that is all there is to end."""
        try:
            given = fields([*_query(), *(await request.form).items(multi=True)])
        except OAuthError as error:
            return _message(error)
        claims = keys.claims_of(given.get("id_token_hint", ""), key)
        grants.revoke(str(claims.get("sid")))
        after = given.get("post_logout_redirect_uri")
        if after and any(after in client.redirect_uris for client in registered.clients):
            back = Back(after, given.get("state"))
            return _to(back.url({}) if back.state else after)
        return Response(
            pages.message("You have signed out", "Close this page, or sign in again."), 200, pages.HEADERS
        )

    return routes


def _asked(registered: Registered) -> AuthorizationRequest:
    return authorization.read(registered, _query())


def _query() -> Iterable[tuple[str, str]]:
    found: Iterable[tuple[str, str]] = request.args.items(multi=True)
    return found


def _authenticated(registered: Registered, passwords: Mapping[str, str], name: str, password: str) -> User | None:
    """The comparison takes as long for a name that does not exist."""
    user = registered.user(name)
    expected = passwords[user.id] if user else secrets.token_urlsafe()
    return user if secrets.compare_digest(password.encode(), expected.encode()) else None


def _form(
    asked: AuthorizationRequest, path: str, status: int = 200, *, name: str = "", problem: str = ""
) -> Response:
    csrf = request.cookies.get(CSRF) or secrets.token_urlsafe(32)  # the same in each tab
    response = Response(pages.sign_in(asked.client.id, CSRF, csrf, name, problem), status, pages.HEADERS)
    response.set_cookie(CSRF, csrf, httponly=True, samesite="Strict", path=path, secure=request.is_secure)
    return response


def _to(url: str) -> Response:
    """With GET, also after a form (RFC 9700, section 4.12)."""
    response: Response = redirect(url, 303)  # type: ignore[assignment]
    response.headers.update(pages.HEADERS)
    return response


def _message(error: OAuthError) -> Response:
    """For a person: who has sent them here with this request cannot be told."""
    text = f"The request is not valid ({error.code}): {error.description}."
    return Response(pages.message("This sign-in cannot begin", text), error.status, pages.HEADERS)
