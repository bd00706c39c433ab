"""Checks of `make lint` that no published tool makes. Each module is a command: python -m checks.NAME."""
