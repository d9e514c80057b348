"""Inventario de Precisión Predictiva: how many units of each product a counter should hold."""
