"""What a browser gets: the page at `/` and the API docs at `/docs`, with nothing from another host."""
