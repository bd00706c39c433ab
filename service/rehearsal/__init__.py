"""New code has to answer the last requests of the running code before it serves. Only live reload asks for this.

    recorder.py   the running process keeps the last requests, in memory
    running.py    what other processes ask the running one
    rehearsal.py  a new process gets them, replays them before it is ready, and compares
    player.py     replays one request, unseen by clients, metrics and logs
    rollback.py   nothing of what a replayed request does in the database stays
    refusal.py    says which request fails, and where
    cost.py       the statements and the time of a request, and what counts as a change
    statements.py the SQL of the running code, for service/migrate/

What a handler does outside the database, such as sending a mail, happens in a rehearsal too. A handler that must not
do it asks `rollback.is_rehearsal()`.
"""
