"""The tests of adoption/."""
