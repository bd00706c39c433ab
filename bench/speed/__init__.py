"""What a request costs, beside what people would use instead: `make bench`."""
