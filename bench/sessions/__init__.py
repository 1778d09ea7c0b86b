"""Several conversations at once in one graph: what each of them waits, and whether their words stay apart."""
