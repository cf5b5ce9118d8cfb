"""A model as a graph: lifted from bytecode or a program, changed by passes, lowered again."""
