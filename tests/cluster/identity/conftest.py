"""These tests need a cluster with users. IDENTITY_GATEWAY is the URL of its gateway, http://localhost:8080."""

import os

collect_ignore = [] if "IDENTITY_GATEWAY" in os.environ else ["test_gateway.py"]
