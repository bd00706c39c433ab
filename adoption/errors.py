class AdoptionError(Exception):
    """An expected failure, reported without a traceback: the text says what happened and what to do."""
