"""The baseline of make bench-check, of the last run that was meant to change it."""
