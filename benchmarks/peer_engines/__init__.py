"""The same networks on builder's runtime and on others; benchmarks/peers.py is the program."""
