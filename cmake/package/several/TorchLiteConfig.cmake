# find_package(TorchLite) in the output folder of builder, which has a folder for each ABI: takes
# the runtime for the system that is compiled for.

if(ANDROID)
  set(_torchlite_abi "${CMAKE_ANDROID_ARCH_ABI}")
  if(NOT _torchlite_abi)
    set(_torchlite_abi "${ANDROID_ABI}")
  endif()
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  set(_torchlite_abi "linux-x86_64")
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(_torchlite_abi "linux-aarch64")
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^arm")
  set(_torchlite_abi "linux-armhf")
else()
  set(_torchlite_abi "linux-${CMAKE_SYSTEM_PROCESSOR}")
endif()

get_filename_component(_torchlite_output "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
set(_torchlite_config "${_torchlite_output}/${_torchlite_abi}/lib/cmake/TorchLite/TorchLiteConfig.cmake")

if(EXISTS "${_torchlite_config}")
  include("${_torchlite_config}")
else()
  set(TorchLite_FOUND FALSE)
  set(TorchLite_NOT_FOUND_MESSAGE
    "${_torchlite_output} has no runtime for ${_torchlite_abi}. Build one: builder build MODEL --abi ${_torchlite_abi} -o ${_torchlite_output}")
endif()

unset(_torchlite_abi)
unset(_torchlite_output)
unset(_torchlite_config)
