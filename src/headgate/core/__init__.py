"""The vocabulary every room shares; imports nothing but the standard library and pydantic (pyarrow only for types)."""
