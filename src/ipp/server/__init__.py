"""The HTTP server: the contract (`api`) and the page (`web`)."""
