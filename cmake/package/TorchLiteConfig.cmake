# find_package(TorchLite) -> target TorchLite::torchlite, for C and C++, and TorchLite::static where the runtime
# was built with a static library.

get_filename_component(_torchlite_root "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

# The name that programs remember: on Linux it has the version of the C API.
set(_torchlite_name "libtorchlite.so.1")
if(NOT EXISTS "${_torchlite_root}/lib/${_torchlite_name}")
  set(_torchlite_name "libtorchlite.so")
endif()

if(NOT EXISTS "${_torchlite_root}/lib/${_torchlite_name}")
  set(TorchLite_FOUND FALSE)
  set(TorchLite_NOT_FOUND_MESSAGE "no libtorchlite.so in ${_torchlite_root}/lib")
  return()
endif()

if(NOT TARGET TorchLite::torchlite)
  add_library(TorchLite::torchlite SHARED IMPORTED)
  set_target_properties(TorchLite::torchlite PROPERTIES
    IMPORTED_LOCATION "${_torchlite_root}/lib/${_torchlite_name}"
    IMPORTED_SONAME "${_torchlite_name}"
    INTERFACE_INCLUDE_DIRECTORIES "${_torchlite_root}/include")
endif()

if(EXISTS "${_torchlite_root}/lib/libtorchlite.a" AND NOT TARGET TorchLite::static)
  find_package(Threads REQUIRED)
  add_library(TorchLite::static STATIC IMPORTED)
  set_target_properties(TorchLite::static PROPERTIES
    IMPORTED_LOCATION "${_torchlite_root}/lib/libtorchlite.a"
    # One object: without this option, a program gets all of it.
    INTERFACE_LINK_OPTIONS "-Wl,--gc-sections"
    INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS};m"
    INTERFACE_INCLUDE_DIRECTORIES "${_torchlite_root}/include")
endif()

unset(_torchlite_name)
unset(_torchlite_root)
