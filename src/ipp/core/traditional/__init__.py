"""The traditional model (SPP): normaliser formulas and the rounding factor."""
