# find_package(TorchLite) -> target TorchLite::torchlite, for C and C++.

get_filename_component(_torchlite_root "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

if(NOT EXISTS "${_torchlite_root}/lib/libtorchlite.so")
  set(TorchLite_FOUND FALSE)
  set(TorchLite_NOT_FOUND_MESSAGE "no libtorchlite.so in ${_torchlite_root}/lib")
  return()
endif()

if(NOT TARGET TorchLite::torchlite)
  add_library(TorchLite::torchlite SHARED IMPORTED)
  set_target_properties(TorchLite::torchlite PROPERTIES
    IMPORTED_LOCATION "${_torchlite_root}/lib/libtorchlite.so"
    IMPORTED_SONAME "libtorchlite.so"
    INTERFACE_INCLUDE_DIRECTORIES "${_torchlite_root}/include")
endif()

unset(_torchlite_root)
