"""What the tests and the measurements share. It imports nothing of either.

sandbox.py      a copy of the project's sources, to be edited
breakages.py    edits that leave the service unable to serve
steady_load.py  requests at a fixed rate (an open loop)
clients.py      clients that send the next request when the last one is answered (a closed loop)
exchange.py     one HTTP/1.1 connection, with as little work of this process as possible
usage.py        the CPU time and the memory of processes
tls.py          a TLS context for clients that only speak plain HTTP
"""
