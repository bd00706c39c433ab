"""What a request costs, compared with other stacks: `make bench`."""
