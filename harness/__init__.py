"""What both the tests and the measurements use. It imports neither of them.

sandbox.py      a copy of the project's sources that can be edited
breakages.py    edits after which the service cannot serve
sign_in.py      requests of a user, with the token that the ingress wants
resource.py     what the requests of a load create and read
openapi.py      what a load can create, according to the description of a service
samples.py      JSON that fits a JSON Schema
steady_load.py  requests at a fixed rate (an open loop)
clients.py      clients that send the next request after each answer (a closed loop)
exchange.py     one HTTP/1.1 connection that costs this process little
usage.py        CPU time and memory of processes
tls.py          a TLS context for clients that only use plain HTTP
"""
