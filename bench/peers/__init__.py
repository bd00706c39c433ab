"""The apps that other reloaders serve in the comparison: the service itself, and one of Flask."""
