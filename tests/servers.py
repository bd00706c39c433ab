"""The server that the tests run the service on, all of them on each: SERVICE_SERVER=uvicorn make test"""

import os

SERVER = os.environ.get("SERVICE_SERVER", "hypercorn")
