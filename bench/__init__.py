"""The measurements behind the figures in README.md and docs/.

speed/       CPU time, throughput, latency and start-up beside other stacks: make bench, bench-check, bench-growth
reload.py    live reload beside other reloaders: make bench-reload
promises.py  what the README promises about stops, crashes and a million notes: python -m bench.promises
cluster.py   the same for the running cluster: python -m bench.cluster
traffic.py   a steady load to watch a workbench or a cluster with: make load
subjects.py  the reloaders that reload.py compares
notes.py     what the loads create and read
peers/       the services that the others compare
tests/       the tests of the evaluation
"""
