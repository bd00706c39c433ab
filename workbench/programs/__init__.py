"""Programs that pip cannot install, and how a machine gets them: Chromium, Prometheus and Alertmanager.

chromium.py, prometheus.py and alertmanager.py know one program each: where it may be, and where it can be fetched from.
bring.py takes what a variable names or the PATH has, then what an earlier run brought, then the download of its makers,
then Debian's packages.
"""
