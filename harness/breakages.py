"""Twenty edits after which the service cannot serve: (description, file, code that is appended to it)."""

MODULE = "service/errors.py"
"""A module that every service has, whatever its domain."""

APP = "service/app.py"

_NO_APP = "\n\ndef create_app(*arguments, **options):\n    {}\n"
_TWO_ROUTES = """

_create_app = create_app


def create_app(*arguments, **options):
    application = _create_app(*arguments, **options)
    for path in ("/one", "/two"):
        application.quart.add_url_rule(path, "the same name", lambda path=path: path)
    return application
"""

BREAKAGES = [
    ("a syntax error", MODULE, "\ndef broken(:\n"),
    ("a name that does not exist", MODULE, "\nfrom service.errors import Nonexistent\n"),
    ("an error during the import", MODULE, "\n1 / 0\n"),
    ("an error during the start", APP, _NO_APP.format("raise RuntimeError('no')")),
    ("a silent exit", MODULE, "\nimport os\nos._exit(3)\n"),
    ("wrong indentation", MODULE, "\n  x = 1\n"),
    ("an open bracket", MODULE, "\nx = (1,\n"),
    ("a tab mixed with spaces", MODULE, "\nif True:\n        x = 1\n\tx = 2\n"),
    ("a module that does not exist", MODULE, "\nimport nonexistent\n"),
    ("an undefined name", MODULE, "\nundefined_name\n"),
    ("a wrong type", MODULE, "\n'a' + 1\n"),
    ("a missing attribute", MODULE, "\nimport os\nos.nonexistent\n"),
    ("a missing key", MODULE, "\n{}['key']\n"),
    ("a failed assertion", MODULE, "\nassert False, 'never'\n"),
    ("infinite recursion", MODULE, "\ndef again():\n    again()\n\n\nagain()\n"),
    ("sys.exit", MODULE, "\nimport sys\nsys.exit(4)\n"),
    ("SIGKILL to itself", MODULE, "\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"),
    ("two routes with the same name", APP, _TWO_ROUTES),
    ("None instead of the application", APP, _NO_APP.format("return None")),
    ("a NUL byte", MODULE, "\n\0\n"),
]
