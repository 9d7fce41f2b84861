"""Ways to reach the desk. A channel knows its transport and a `Session`, nothing else of the desk."""
