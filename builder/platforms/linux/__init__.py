"""Linux: the compilers of the machine and of its distribution for other processors."""
