"""A small OpenID Connect provider for development, in the place that Dex has in the cluster.

__main__.py      the process, which parts/identity.py runs
registered.py    the issuer, the clients and the users, from k8s/components/identity-provider/dex.yaml
keys.py          the signing key, and the tokens that it signs
grants.py        what has been granted: codes, and refresh tokens
authorization.py the authorization endpoint: checks the request, and asks who signs in
exchange.py      the token endpoint
forms.py         the fields of a request, and its errors
pages.py         the pages that people see
app.py           the routes
data.py          the files in DATA/identity

It knows the authorization code flow with PKCE for public clients, and refresh tokens (RFC 6749, RFC 7636, RFC 9700).
Imports go one way: __main__ -> app -> authorization, exchange -> grants, forms, pages, registered -> keys, data.
"""
