"""The content security policies of the pages: nothing inline, and no other host except the identity provider's."""

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from service.pages.parts import SignIn

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src {connect}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def policies(sign_in: SignIn | None) -> Mapping[str, str]:
    """The policy of each page by its path."""
    origin = urlsplit(sign_in.issuer) if sign_in else None
    elsewhere = f" {origin.scheme}://{origin.netloc}" if origin and origin.netloc else ""
    policy = _POLICY.format(connect=f"'self'{elsewhere}")
    return {
        # With Trusted Types the browser rejects innerHTML and the like, so text never becomes markup by mistake.
        "/": f"{policy}; require-trusted-types-for 'script'; trusted-types 'none'",
        # The stylesheet of Swagger UI contains its icons as data: URLs.
        "/docs": policy.replace("img-src 'self'", "img-src 'self' data:"),
    }


def policy_of(html: Path) -> str:
    """A policy that allows the inline scripts and handlers of this file, and nothing else."""
    text = html.read_text(encoding="utf-8")
    inline = re.findall(r"<script>(.*?)</script>|\son\w+=\"(.*?)\"", text, re.DOTALL)
    hashes = " ".join(sorted(_hash(script or handler) for script, handler in inline))
    # A hash counts for a handler only with unsafe-hashes (CSP Level 3, section 6.7.2.3).
    return (
        f"default-src 'none'; script-src 'unsafe-hashes' {hashes}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
