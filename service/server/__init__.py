"""What speaks HTTP: `contract` says what a server is, `choice` picks Hypercorn or uvicorn."""
