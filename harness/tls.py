"""What clients of a URL trust."""

import ssl

# httpx would otherwise load all root certificates for each client, which takes longer than most tests.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that only use plain HTTP."""


def trusted(url: str) -> ssl.SSLContext:
    """For clients of this URL. OpenSSL's variable SSL_CERT_FILE names a file of other authorities than its own."""
    return NO_TLS if url.startswith("http://") else ssl.create_default_context()
