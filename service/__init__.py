"""The service: notes over HTTP, kept in PostgreSQL. `python -m service` starts it."""
