"""Measurements that hold for any service. Those of one domain are in a folder of its name.

reload.py    live reload beside other reloaders: make bench-reload
cluster.py   what clients of the running cluster notice: python -m bench.cluster
traffic.py   a steady load to watch a workbench or a cluster with: make load
target.py    what these loads read and create
subjects.py  the reloaders that reload.py compares
peers/       the apps that the other reloaders serve
tests/       the tests of what the loads create
"""
