"""What the service is compared with: what other reloaders run, and the same API in what people use instead."""
