# CMake's side of a toolchain for iOS and its simulator; builder.platforms.apple.clang gives the variables.
# CMAKE_SYSTEM_PROCESSOR stays empty: on Apple's systems PyTorch and its parts ask IOS_ARCH or
# CMAKE_OSX_ARCHITECTURES.
set(CMAKE_SYSTEM_NAME Darwin)
set(UNIX TRUE)
set(APPLE TRUE)
set(IOS TRUE)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES
  IOS_ARCH TORCHLITE_FLAGS TORCHLITE_LINKER TORCHLITE_TOOLS)

foreach(language C CXX ASM)
  set(CMAKE_${language}_FLAGS_INIT "${TORCHLITE_FLAGS}")
endforeach()
foreach(kind EXE SHARED MODULE)
  set(CMAKE_${kind}_LINKER_FLAGS_INIT "${TORCHLITE_LINKER}")
endforeach()
foreach(tool ar ranlib nm strip install-name-tool)
  string(TOUPPER "${tool}" variable)
  string(REPLACE "-" "_" variable "${variable}")
  if(TORCHLITE_TOOLS)
    set(CMAKE_${variable} "${TORCHLITE_TOOLS}/llvm-${tool}")
  endif()
endforeach()

set(CMAKE_FIND_ROOT_PATH "${CMAKE_OSX_SYSROOT}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
