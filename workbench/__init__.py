"""Runs the whole stack on one machine: `make dev`, and the tests. Nothing here ships, but reload/ in the image `dev`.

__main__.py     `python -m workbench`, which is `make dev`
stack.py        all parts together: starts, watches and stops them
options.py      the variables of `make dev`, and the .env file
console.py      the output: steps with their times, log lines with the names of their parts
errors.py       the exceptions, which the commands print as one line
branches.py     `make branches`
access_token.py `make token`
backups.py      `make backup` and `make restore` with WHERE=workbench
reset.py        `make reset`
virtualenv.py   creates .venv and installs the locked packages

parts/          the programs: PostgreSQL, the replicas of the service, the identity provider, Envoy, Prometheus
identity/       the identity provider for development
ingress/        translates k8s/istio/*.yaml to Envoy's configuration
machine/        what depends on this machine: ports, folders, the lock, users, other processes, pip, git
reload/         live reload: the supervisor that runs the service and replaces it after each save

Imports go one way: __main__.py -> stack.py -> parts -> ingress, machine. Nothing here imports service.
"""
