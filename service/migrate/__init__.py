"""`python -m service.migrate` brings the schema up to date.

The migrations are the files `migrations/NNNN_name.sql`. Folders in `migrations/` are sequences with numbers of their
own, so that later versions of what they belong to never take a number of the service: `shared/`, about what all
resources share, is applied first, then the other folders, then the service's own files. Each file is applied once, in
the order of the numbers, in a transaction of its own. Several runs at the same time are safe: each takes an advisory
lock before it reads which versions are applied. Editing or removing an applied file is an error; write a new file
instead. To remove a whole folder is no error: its tables stay. A file that begins or ends a transaction itself is an
error.

    __main__.py      the command
    files.py         the files: names, texts, and the lines in them that say how to apply them
    history.py       which files are applied
    apply.py         applies those that are not
    alone.py         applies a file whose statement cannot run in a transaction
    locks.py         which large tables a file has locked
    running_code.py  whether the statements of the code that runs meanwhile still work
"""
