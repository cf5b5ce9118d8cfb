"""Changes of graphs, one kind in each module; builder/graph/optimise.py runs them in order."""
