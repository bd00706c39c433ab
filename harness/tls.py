"""For clients that speak plain HTTP."""

import ssl

# Without it each client would load the certificates of all authorities, which takes longer than most tests here.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
