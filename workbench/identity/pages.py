"""The pages that people see: the sign-in form, and a message. They look like those of the service, if it has any."""

from html import escape

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
}

_PAGE = """\
<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>{title}</title>
    <link rel="icon" href="/static/icon.svg" type="image/svg+xml">
    <link rel="stylesheet" href="/static/style.css">
    <link rel="stylesheet" href="/static/error.css">
  </head>
  <body class="error">
    <main>
      <h1>{title}</h1>
{content}
    </main>
  </body>
</html>
"""

# Without `action`, a form is sent to the address of its page, which is the request.
_FORM = """\
{problem}      <form method="post">
        <input type="hidden" name="{csrf_name}" value="{csrf}">
        <p><label>Name or e-mail<br>
          <input name="name" value="{name}" autocomplete="username" autocapitalize="none" required{focus_name}>
        </label></p>
        <p><label>Password<br>
          <input name="password" type="password" autocomplete="current-password" required{focus_password}>
        </label></p>
        <p class="actions"><button class="button">Sign in</button></p>
      </form>
      <p class="quiet">This is the identity provider for development. `make dev` prints its users.</p>"""


def sign_in(client: str, csrf_name: str, csrf: str, name: str = "", problem: str = "") -> str:
    """With a name that was typed before, if there is a problem with it."""
    alert = f'      <p role="alert">{escape(problem)}</p>\n' if problem else ""
    content = _FORM.format(
        problem=alert,
        csrf_name=escape(csrf_name),
        csrf=escape(csrf),
        name=escape(name),
        focus_name="" if name else " autofocus",
        focus_password=" autofocus" if name else "",
    )
    return _PAGE.format(title=f"Sign in to {escape(client)}", content=content)


def message(title: str, text: str) -> str:
    content = f'      <p>{escape(text)}</p>\n      <p class="actions"><a class="button" href="/">Start page</a></p>'
    return _PAGE.format(title=escape(title), content=content)
