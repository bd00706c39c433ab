"""What can go wrong in a workbench. Every message is one line: what happened, where, what to do.

WorkbenchError
 ├── UsageError            an option or the .env file
 ├── DataFolderError       in use, made by another user, of another version, damaged
 ├── PortTaken             another process listens there
 ├── StepFailed            a command that should have finished with status 0 did not
 └── PartFailed            a part that should keep running ended, or never became ready
"""


class WorkbenchError(Exception):
    """Printed as one line by the commands; the exit status is 1."""


class UsageError(WorkbenchError):
    """The exit status is 2, as for every command that was called in a wrong way."""


class DataFolderError(WorkbenchError):
    pass


class PortTaken(WorkbenchError):
    pass


class StepFailed(WorkbenchError):
    pass


class PartFailed(WorkbenchError):
    pass
