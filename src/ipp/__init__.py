"""IPP, Inventario de Precisión Predictiva: how many units of each product a pharmacy counter should hold."""
