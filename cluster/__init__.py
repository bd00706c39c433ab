"""Commands for a cluster besides `tilt up`: behind make's targets, and Tilt's buttons.

They run with the system's Python, need only the standard library, and use kubectl for everything else.

kubectl.py      how kubectl is called
postgres.py     which PostgreSQL serves
create.py       make cluster
secrets.py      creates the passwords and the development certificate, and prints them as Secrets
status.py       make status, with line.py, operators.py and overlay.py
live.py         make live
access_token.py make token
backups.py      make backup, make restore
archive.py      the same with WHERE=production
switch.py       lets another Cluster of PostgreSQL serve, after a restore
rotation.py     make rotate: passwords of PostgreSQL
certificate.py  make rotate: the gateway's certificate
grafana.py      make rotate: Grafana's password
actions.py      the buttons of Tilt's UI
intruder.py     make intrude: tests that closed ports are closed
leftovers.py    removes what istiod created, at `tilt down`
"""
