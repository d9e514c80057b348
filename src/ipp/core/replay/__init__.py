"""Replay of history: the orders, stock and lost sales that a policy would have had."""
