"""Twenty edits after which the service cannot start, and twenty after which it starts but handlers raise.

Each is (description, file, code that is appended to it).
"""

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

_DEFECT = """

_create_app = create_app


def create_app(*arguments, **options):
    from service.web.endpoint import endpoint_of

    async def broken(**arguments):
        {}

    application = _create_app(*arguments, **options)
    for rule in application.quart.url_map.iter_rules():
        found = endpoint_of(application.quart.view_functions[rule.endpoint])
        if found is not None and {}:
            object.__setattr__(found, "view", broken)
    return application
"""

_READS = "found.kind == 'request' and 'GET' in rule.methods"
_WRITES = "found.kind == 'request' and 'POST' in rule.methods"
_STREAMS = "found.stream is not None"

DEFECTS = [
    ("a read divides by zero", APP, _DEFECT.format("1 / 0", _READS)),
    ("a write misses a key", APP, _DEFECT.format("{}['key']", _WRITES)),
    ("a stream divides by zero", APP, _DEFECT.format("1 / 0", _STREAMS)),
    ("a read misses a key", APP, _DEFECT.format("{}['key']", _READS)),
    ("a read uses an undefined name", APP, _DEFECT.format("undefined_name", _READS)),
    ("a read misses an attribute", APP, _DEFECT.format("None.name", _READS)),
    ("a write divides by zero", APP, _DEFECT.format("1 / 0", _WRITES)),
    ("a write uses an undefined name", APP, _DEFECT.format("undefined_name", _WRITES)),
    ("a stream uses an undefined name", APP, _DEFECT.format("undefined_name", _STREAMS)),
    ("a read goes beyond a list", APP, _DEFECT.format("[][0]", _READS)),
    ("a read adds a number to a text", APP, _DEFECT.format("'a' + 1", _READS)),
    ("a read fails an assertion", APP, _DEFECT.format("assert False, 'never'", _READS)),
    ("a write misses an attribute", APP, _DEFECT.format("None.name", _WRITES)),
    ("a write gets a wrong type", APP, _DEFECT.format("int(None)", _WRITES)),
    ("a stream misses an attribute", APP, _DEFECT.format("None.name", _STREAMS)),
    ("a read raises an error", APP, _DEFECT.format("raise RuntimeError('no')", _READS)),
    ("a read gets a wrong value", APP, _DEFECT.format("int('x')", _READS)),
    ("a read awaits nothing", APP, _DEFECT.format("await None", _READS)),
    ("a write raises an error", APP, _DEFECT.format("raise RuntimeError('no')", _WRITES)),
    ("a stream raises an error", APP, _DEFECT.format("raise RuntimeError('no')", _STREAMS)),
]
"""Ten break all reads, six all writes, four all streams."""
