"""What SwiftPM and CocoaPods read of a package."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from builder.core.targets import format_os_version
from builder.platforms.apple.package import FRAMEWORK, FRAMEWORKS, MODULE, POD
from builder.platforms.package_manifest import LICENCES

SOURCES = f"Sources/{MODULE}"
RESOURCES = "Resources"
PODSPEC = f"{POD}.podspec"
POD_ARCHIVE = f"{POD}.zip"
"""What CocoaPods downloads: the xcframework and the Swift sources."""
LICENCE = f"{FRAMEWORK}.xcframework/{LICENCES}/pytorch-LICENSE.txt"
SUMMARY = "Lite interpreter of PyTorch with the operators of chosen models"
"""Without quotation marks, which end a text in Ruby."""
_SWIFT_TOOLS = "5.5"
"""The first with Sendable; that of Xcode 13."""
_PACKAGE = """\
// swift-tools-version:{tools}
import PackageDescription

let package = Package(
    name: "{module}",
    platforms: [.iOS("{min_os}")],
    products: [.library(name: "{module}", targets: ["{module}"])],
    targets: [
        {binary},
        .target(
            name: "{module}",
            dependencies: ["{framework}"],
            path: "{sources}"{resources},
            linkerSettings: [{linked}]
        ),
    ]
)
"""
_POD = """\
Pod::Spec.new do |s|
  s.name = '{pod}'
  s.version = '{version}'
  s.summary = '{summary}'
  s.description = <<-DESC
    Loads models in PyTorch's lite format and runs them: an xcframework with the operators of
    the models it was built for, and a Swift module around its C API.
  DESC
  s.homepage = 'https://pytorch.org'
  s.license = {{ :type => 'BSD-3-Clause', :file => '{licence}' }}
  s.authors = ['the builder authors']
  s.source = {{ :http => {url}, :sha256 => '{checksum}' }}
  s.platform = :ios, '{min_os}'
  s.swift_versions = ['{tools}']
  s.module_name = '{module}'
  s.static_framework = true
  s.source_files = '{sources}/*.swift'
  s.vendored_frameworks = '{framework}.xcframework'
  s.frameworks = {frameworks}
  s.libraries = 'c++'
  headers = {{ 'SWIFT_INCLUDE_PATHS' => '"${{PODS_XCFRAMEWORKS_BUILD_DIR}}/{pod}/Headers"' }}
  s.pod_target_xcconfig = headers
  s.user_target_xcconfig = headers
{resources}end
"""


def render_package(
    *,
    min_os: int,
    url: str | None = None,
    checksum: str = "",
    resources: Collection[str] = (),
    frameworks: Sequence[str] = FRAMEWORKS,
) -> str:
    """Returns `Package.swift`.

    Args:
        min_os: deployment target, as in `Target.min_os`.
        url: of the zip archive; without it, the xcframework beside the file is taken.
        checksum: of the zip archive; SwiftPM wants it with a URL.
        resources: names of files in the module's folder of resources.
        frameworks: of Apple's, that the library calls.
    """
    # A binary target has a path or a URL with a checksum (PackageDescription's manual).
    if url is None:
        binary = f'.binaryTarget(name: "{FRAMEWORK}", path: "{FRAMEWORK}.xcframework")'
    else:
        binary = (
            f'.binaryTarget(\n            name: "{FRAMEWORK}",\n            url: "{url}",\n'
            f'            checksum: "{checksum}"\n        )'
        )
    # SwiftPM fails when a manifest names a folder that does not exist.
    copied = f',\n            resources: [.copy("{RESOURCES}")]' if resources else ""
    linked = ['.linkedLibrary("c++")', *(f'.linkedFramework("{name}")' for name in frameworks)]
    return _PACKAGE.format(
        tools=_SWIFT_TOOLS,
        module=MODULE,
        framework=FRAMEWORK,
        min_os=format_os_version(min_os),
        binary=binary,
        sources=SOURCES,
        resources=copied,
        linked=", ".join(linked),
    )


def render_pod(
    *,
    version: str,
    min_os: int,
    checksum: str,
    url: str | None = None,
    resources: Collection[str] = (),
    frameworks: Sequence[str] = FRAMEWORKS,
) -> str:
    """Returns the podspec.

    Args:
        version: of the pod.
        min_os: deployment target, as in `Target.min_os`.
        checksum: SHA-256 of `POD_ARCHIVE`, which CocoaPods compares.
        url: of that archive; without it, the one beside the podspec is named, though
            `pod '...', :path => 'out/apple'` reads the folder itself.
        resources: names of files in the module's folder of resources.
        frameworks: of Apple's, that the library calls.
    """
    # CocoaPods wants a source even for a pod that is read from its folder.
    beside = f'"file://#{{__dir__}}/{POD_ARCHIVE}"'
    bundle = f"  s.resource_bundles = {{ '{MODULE}' => ['{SOURCES}/{RESOURCES}/*'] }}\n"
    return _POD.format(
        pod=POD,
        version=version,
        summary=SUMMARY,
        licence=LICENCE,
        framework=FRAMEWORK,
        module=MODULE,
        min_os=format_os_version(min_os),
        tools=_SWIFT_TOOLS,
        sources=SOURCES,
        url=f"'{url}'" if url else beside,
        checksum=checksum,
        resources=bundle if resources else "",
        frameworks=", ".join(f"'{name}'" for name in frameworks),
    )
