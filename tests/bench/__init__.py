"""How fast it is, beside what people would use instead; nothing here asserts a time."""
