"""This machine: its ports, folders, users and capabilities, and the processes that the workbench did not start."""
