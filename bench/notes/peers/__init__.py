"""The same API with other frameworks."""
