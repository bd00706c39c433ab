"""The domain: notes."""
