"""The measurements behind the figures in README and docs. Each module is a command: python -m bench.NAME."""
