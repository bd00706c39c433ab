"""Live reload that never takes the service down.

A supervisor owns the listening sockets. For each change it starts a new process of the service beside the old one,
and lets the old one go only when the new one answers. Code that does not start changes nothing: the old goes on.

    __main__.py    python -m workbench.reload
    supervisor.py  what is decided: start, hand over, take back, crash, stop
    candidate.py   a new process on its way to being ready, and its migrations
    probe.py       what is asked of the process that serves
    environment.py what its settings are
    code.py        the files of the service, and their version
    sources.py     what is watched
    spawner.py     how a process is started: forked from the template, or afresh
    template.py    the warm process that has imported everything but the service
    spare.py       a fork that was made, and has rehearsed, ahead of time
    child.py       what runs in the new process before the service does
    stopgap.py     the answers while nothing can serve
    report.py      what is said: lines for people, metrics for Prometheus
"""
