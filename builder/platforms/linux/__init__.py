"""Linux: the compilers of the machine, and its distribution's for other CPU architectures."""
