"""Live reload that never takes the service down: `python -m workbench.reload`.

A supervisor owns the listening sockets. After each save it starts a new process of the service beside the old one,
which keeps serving until the new one is ready. Code that does not start, or
fails requests that the old code answers, changes nothing. See "Live reload" in
docs/architecture.md.

What is decided
    __main__.py            the command: options, sockets, signals
    supervisor.py          which process serves, when the next one takes over, what follows when one ends
    states.py              the states of the supervisor and of its processes
    target.py              what should serve, and how long that may take
    retry.py               when the next start is due without a save
    handover.py            one process serves instead of another
    comparison.py          what a reload has changed: costs of routes, and the API
    api_changes.py         compares two OpenAPI documents

What is observed
    code.py                the files of the service, and their version
    sources.py             changes of the files, .env and the installed packages
    probe.py               requests to the serving process
    branches.py            the database that belongs to the files
    service_environment.py the environment variables of a new process

Processes
    protocol.py            the messages between all of these
    processes.py           those that run
    service_process.py     one of them, as the supervisor sees it
    candidate.py           waiting until a new one is ready, and why it is not
    migrations.py          the schema that new code needs
    spawner.py             starts a process in a new interpreter
    forking_spawner.py     starts a process by a fork of the template
    template.py            the process that has imported everything but the service, and forks
    prefork.py             a process that the template forks ahead of time
    ahead.py               one that has imported the service before it is needed
    bodies.py              whether versions differ only in what asynchronous functions do, and how to replace that
    snapshot.py            the code of a new process, read at one moment
    new_process.py         what runs in a new process before the service
    orphans.py             what process 1 of a container has to do
    debugging.py           the debugger: how processes connect to it, and what breakpoint() does
    debug_adapter.py       the process that editors attach to, from version to version

What is reported
    receipt.py             what a reload has changed, in a line
    report.py              lines for people, metrics for Prometheus
    fallback_responder.py  the answers while nothing serves
    tasks.py               background tasks whose errors are reported
"""
