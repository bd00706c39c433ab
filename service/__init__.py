"""The service: HTTP on one side, PostgreSQL on the other. `python -m service` starts it.

__main__.py   the process: signals, two ports, shutdown
app.py        the application: makes the parts, connects them, lists the domains and the ASGI layers
domain.py     what a domain hands to app.py
settings.py   the settings, read from SERVICE_* variables
migrate/      `python -m service.migrate` applies migrations/*.sql
errors.py     the exceptions that become answers
lifecycle.py  the state of the process, and its background tasks

web/          from a request to its answer: middleware, routing, admission, dispatch, endpoints, errors
server/       the HTTP server: Hypercorn or uvicorn
handover/     passes listeners and open connections to another process, for live reload
database/     the connection pool, and the readiness check
telemetry/    logs, metrics, and the operations port
tracing/      spans, if OpenTelemetry is configured

domains/      the parts of the API, one folder for each
pages/        the page at / and the API docs at /docs

Imports go one way: from app.py to domains/ and pages/, and from those to the rest. `make lint` checks it.
"""
