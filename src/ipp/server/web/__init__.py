"""The page that analysts work in: the same operations and rights as the HTTP contract, as HTML in Spanish."""
