"""The exceptions of the workbench. Every message is one line: what happened, where, what to do.

WorkbenchError
 ├── UsageError            an option or the .env file is invalid
 ├── DataFolderError       the folder is in use, belongs to another user or version, or is damaged
 ├── PortTaken             another process listens on the port
 ├── StepFailed            a command did not finish with status 0
 ├── BranchDatabaseError   the database of a git branch cannot be used now
 └── PartFailed            a part ended, or did not become ready
      └── PartStopped      it ended as it does when a signal asks it to
"""


class WorkbenchError(Exception):
    """The commands print it as one line and exit with status 1."""


class UsageError(WorkbenchError):
    """The commands exit with status 2, as usual for invalid arguments."""


class DataFolderError(WorkbenchError):
    pass


class PortTaken(WorkbenchError):
    pass


class StepFailed(WorkbenchError):
    pass


class BranchDatabaseError(WorkbenchError):
    """Perhaps it can later."""


class PartFailed(WorkbenchError):
    pass


class PartStopped(PartFailed):
    """A process manager may have sent the signal to all processes, so the workbench gets it at this moment too."""
