"""A TLS context for clients that only use plain HTTP."""

import ssl

# httpx would otherwise load all root certificates for each client, which takes longer than most tests.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
