"""From demand to a published quantity: budget, reason, published columns."""
