"""Commands for the local cluster besides `tilt up`: behind `make status`, `backup`, `restore`, `intrude`, and Tilt.

They run with the system's Python, need only the standard library, and use kubectl for everything else.

kubectl.py     how kubectl is called
secrets.py     creates the passwords and the development certificate, and prints them as Secrets
status.py      make status
backups.py     make backup, make restore: dumps of the one PostgreSQL
archive.py     the same with WHERE=production: the archive of CloudNativePG
switch.py      lets another Cluster of CloudNativePG serve, for archive.py
rotation.py    make rotate
postgres.py    which pod has the PostgreSQL that serves
actions.py     the buttons of Tilt's UI
intruder.py    make intrude: tests that closed ports are closed
leftovers.py   removes what istiod created, at `tilt down`
"""
