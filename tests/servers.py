"""Which server the tests run the service on. All tests pass on each: SERVICE_SERVER=uvicorn make test"""

import os

SERVER = os.environ.get("SERVICE_SERVER", "hypercorn")
