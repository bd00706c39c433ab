"""What people do with the cluster beside `tilt up`: the commands behind make status, backup, restore and the secrets.

Each runs with the system's Python, needs nothing but the standard library, and asks kubectl for everything else.

    kubectl.py   how kubectl is called
    secrets.py   passwords and the development certificate, made once, as Secrets
    status.py    make status
    backups.py   make backup, make restore
    actions.py   the buttons of Tilt's UI
    intruder.py  make intrude: whether what is closed is closed
    leftovers.py what `tilt down` removes beside its own objects
"""
