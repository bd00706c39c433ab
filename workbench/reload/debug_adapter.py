"""The debug adapter, which an editor attaches to: `python -m workbench.reload.debug_adapter PORT`.

Two processes that outlive those of the service:

adapter   listens on PORT of 127.0.0.1 for editors, and on any port for the processes that are debugged
root      is debugged and does nothing. The processes of the service report themselves as its children. An editor that
          is attached to it gets a session for each of them, as for any process with children: so it is attached to
          each new version without having to do anything.

They write the port for processes and the root's process id to stdout, and end at the end of stdin.
"""

import os
import subprocess
import sys

from workbench.reload.debugging import HOST, connect


def main(port: int) -> None:
    from debugpy.adapter import clients, servers, sessions
    from debugpy.common import log

    log.stderr.levels = set()  # it would write a traceback for each editor that leaves without a word

    # It tells each editor that attaches to the oldest session. If that one's editor has just left, the thread that
    # accepts editors would end.
    sessions.report_sockets = lambda: None
    _, port_for_processes = servers.serve(HOST)  # type: ignore[no-untyped-call]
    try:
        clients.serve(HOST, port)  # type: ignore[no-untyped-call]
    except OSError as error:
        sys.exit(f"{HOST}:{port} ({error.strerror})")
    sys.stdout.write(f"{port_for_processes}\n")
    sys.stdout.flush()
    command = (sys.executable, "-m", "workbench.reload.debug_adapter", "root", str(port_for_processes))
    with subprocess.Popen(command, stdin=subprocess.PIPE):
        sys.stdin.read()
        os._exit(0)  # not by a return, which would wait for the threads; the root ends with the pipe


def root(port_for_processes: int) -> None:
    connect(port_for_processes, wait=False)
    sys.stdout.write(f"{os.getpid()}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["root", port]:
            root(int(port))
        case [port]:
            main(int(port))
