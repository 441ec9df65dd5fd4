"""HTML around the values: pages, style sheets in the elements, and where escaping does not guard."""
