"""Twenty ways to save code that cannot serve: (what, file, the code that is added at its end)."""

MODULE = "service/pages/models.py"
APP = "service/app.py"

_NO_APP = "\n\ndef create_app(settings):\n    {}\n"

BREAKAGES = [
    ("a syntax error", MODULE, "\ndef broken(:\n"),
    ("a name that does not exist", MODULE, "\nfrom service.errors import Nonexistent\n"),
    ("an error while it is imported", MODULE, "\n1 / 0\n"),
    ("an error while it is started", APP, _NO_APP.format("raise RuntimeError('no')")),
    ("an end without a word", MODULE, "\nimport os\nos._exit(3)\n"),
    ("wrong indentation", MODULE, "\n  x = 1\n"),
    ("an open bracket", MODULE, "\nx = (1,\n"),
    ("a tab among spaces", MODULE, "\nif True:\n        x = 1\n\tx = 2\n"),
    ("a module that does not exist", MODULE, "\nimport nonexistent\n"),
    ("an undefined name", MODULE, "\nundefined_name\n"),
    ("a wrong type", MODULE, "\n'a' + 1\n"),
    ("a missing attribute", MODULE, "\nimport os\nos.nonexistent\n"),
    ("a missing key", MODULE, "\n{}['key']\n"),
    ("a failed assertion", MODULE, "\nassert False, 'never'\n"),
    ("too deep a recursion", MODULE, "\ndef again():\n    again()\n\n\nagain()\n"),
    ("sys.exit", MODULE, "\nimport sys\nsys.exit(4)\n"),
    ("a signal to itself", MODULE, "\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"),
    ("a route that exists", "service/pages/routes.py", "\n\n@blueprint.get('/docs')\nasync def docs():\n    pass\n"),
    ("nothing instead of the application", APP, _NO_APP.format("return None")),
    ("a NUL byte", MODULE, "\n\0\n"),
]
