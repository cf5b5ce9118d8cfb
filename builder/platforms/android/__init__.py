"""Android: NDK and JDK, the AAR and what is in it, the rules that its libraries keep."""
