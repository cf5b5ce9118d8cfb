"""Apple's systems: clang and SDKs, the xcframework, the rules that its libraries keep."""
