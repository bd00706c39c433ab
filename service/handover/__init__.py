"""Passes listening sockets and open connections to another process that serves on the same addresses."""
