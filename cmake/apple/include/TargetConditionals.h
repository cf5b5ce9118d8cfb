/* What a translation unit is compiled for, by what the compiler itself says: clang before release 17
 * leaves the TARGET_OS_* macros to a header, and some headers then answer macOS for iOS. */
#ifndef TORCHLITE_TARGET_CONDITIONALS_H
#define TORCHLITE_TARGET_CONDITIONALS_H

#if !defined(__APPLE__) || !defined(__ENVIRONMENT_IPHONE_OS_VERSION_MIN_REQUIRED__)
#error "these headers are for iOS and its simulator"
#endif

#undef TARGET_OS_MAC
#undef TARGET_OS_OSX
#undef TARGET_OS_IPHONE
#undef TARGET_OS_IOS
#undef TARGET_OS_TV
#undef TARGET_OS_WATCH
#undef TARGET_OS_VISION
#undef TARGET_OS_BRIDGE
#undef TARGET_OS_MACCATALYST
#undef TARGET_OS_DRIVERKIT
#undef TARGET_OS_SIMULATOR
#undef TARGET_OS_EMBEDDED
#undef TARGET_OS_UNIX
#undef TARGET_OS_LINUX
#undef TARGET_OS_WIN32
#undef TARGET_OS_WINDOWS

#define TARGET_OS_MAC 1
#define TARGET_OS_IPHONE 1
#define TARGET_OS_IOS 1
#define TARGET_OS_OSX 0
#define TARGET_OS_TV 0
#define TARGET_OS_WATCH 0
#define TARGET_OS_VISION 0
#define TARGET_OS_BRIDGE 0
#define TARGET_OS_MACCATALYST 0
#define TARGET_OS_DRIVERKIT 0
#define TARGET_OS_UNIX 0
#define TARGET_OS_LINUX 0
#define TARGET_OS_WIN32 0
#define TARGET_OS_WINDOWS 0
#if defined(__APPLE_EMBEDDED_SIMULATOR__)
#define TARGET_OS_SIMULATOR 1
#define TARGET_OS_EMBEDDED 0
#else
#define TARGET_OS_SIMULATOR 0
#define TARGET_OS_EMBEDDED 1
#endif
#define TARGET_IPHONE_SIMULATOR TARGET_OS_SIMULATOR
#define TARGET_OS_NANO 0
#define TARGET_ABI_USES_IOS_VALUES 1

#define TARGET_CPU_ARM64 1
#define TARGET_CPU_ARM 0
#define TARGET_CPU_X86 0
#define TARGET_CPU_X86_64 0
#define TARGET_CPU_PPC 0
#define TARGET_CPU_PPC64 0
#define TARGET_RT_LITTLE_ENDIAN 1
#define TARGET_RT_BIG_ENDIAN 0
#define TARGET_RT_64_BIT 1
#define TARGET_RT_MAC_CFM 0
#define TARGET_RT_MAC_MACHO 1

#endif
