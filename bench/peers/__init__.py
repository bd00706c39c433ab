"""What the service is compared with: apps for other reloaders, and the same API with other frameworks."""
