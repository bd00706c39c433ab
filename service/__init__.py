"""The service: HTTP on one side, PostgreSQL on the other. `python -m service` starts it.

__main__.py   the process: signals, two ports, shutdown
app.py        the application: makes the parts and connects them; the only module that knows the domain and the pages
settings.py   what can be configured, read from SERVICE_* variables
migrate.py    `python -m service.migrate` applies migrations/*.sql
errors.py     the exceptions that become answers
lifecycle.py  the state of the process, and its background tasks

web/          from a request to its answer: middleware, admission, dispatch, endpoints, errors as problems or pages
server/       what speaks HTTP: Hypercorn or uvicorn
handover/     passes listeners and open connections to another process, for live reload
database/     the connection pool, and the readiness check
telemetry/    logs, metrics, and the ops port
tracing/      spans, if OpenTelemetry is configured

notes/        the example domain: replace it with your own
pages/        the page at / and the API docs at /docs

Imports go one way: app.py -> notes, pages -> the machinery above. `make lint` checks it.
"""
