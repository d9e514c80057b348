"""The predictive model (IPP): demand forecast as a distribution, and allocation of a budget."""
