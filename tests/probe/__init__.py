"""The probe domain: what the tests of the machinery ask the service for, so that they need no other domain.

`python -m tests.probe` is `python -m service` with this domain alone.
"""
