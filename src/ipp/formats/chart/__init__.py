"""Charts as SVG: scales with their ticks, axes and marks, written as text."""
