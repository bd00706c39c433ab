"""Measurements of the example domain. targets.mk has their make targets.

speed/       CPU time, throughput, latency and start-up beside other stacks: make bench, bench-check, bench-growth
peers/       the same API with other frameworks
promises.py  what the README promises about stops, crashes and a million notes: python -m bench.notes.promises
measured/    the baseline of bench-check, and a test of it
tests/       the tests of the evaluation
"""
