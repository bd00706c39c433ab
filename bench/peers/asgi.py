"""The service itself, for `hypercorn --reload` and `uvicorn --reload`."""

import os

from service.app import create_app
from service.settings import load
from workbench.reload.sources import version

app = create_app(load({**os.environ, "SERVICE_VERSION": version()})).api
