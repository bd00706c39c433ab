"""The applications that other reloaders run. Each says its version, as the service does."""
