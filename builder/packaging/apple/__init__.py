"""The packages for Apple: xcframework, Swift package, pod."""
