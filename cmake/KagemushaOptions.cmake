# Compiler and linker settings that every target shares.

option(KAGEMUSHA_SANITIZE "Build with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(KAGEMUSHA_FUZZ "Build the libFuzzer targets" OFF)

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g1")

option(KAGEMUSHA_PCH "Precompile the standard headers: a third less work from nothing" OFF)

find_program(KAGEMUSHA_CCACHE ccache)
if(KAGEMUSHA_CCACHE)
  # Without the first ccache does not look at anything that uses a precompiled header; with the second a build from nothing
  # preprocesses each source once, not twice.
  set(KAGEMUSHA_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_DEPEND=1 ${KAGEMUSHA_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${KAGEMUSHA_LAUNCHER})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${KAGEMUSHA_LAUNCHER})
endif()

if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_link_options(-fuse-ld=lld)
endif()

add_library(kagemusha_flags INTERFACE)
target_compile_options(kagemusha_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wimplicit-fallthrough -Werror
  -fstack-protector-strong)
target_compile_definitions(kagemusha_flags INTERFACE
  $<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2>
  _GLIBCXX_ASSERTIONS
  KAGEMUSHA_VERSION="${PROJECT_VERSION}")
target_include_directories(kagemusha_flags INTERFACE ${CMAKE_SOURCE_DIR})

if(KAGEMUSHA_SANITIZE)
  # The four that look at every member access are left out: they double the time of compiling, and AddressSanitizer sees
  # what they would.
  add_compile_options(-fsanitize=address,undefined -fno-sanitize=alignment,null,object-size,vptr
    -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()

# Coverage counters everywhere, or libFuzzer sees nothing of the libraries; its main() comes with kagemusha_fuzz().
if(KAGEMUSHA_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()

# kagemusha_precompiled(NAME [HEADERS header...] [OPTIONS option...]): one set of precompiled headers that many targets use:
# the standard headers that most sources include, and more of them. What uses it has to be compiled with the same OPTIONS.
function(kagemusha_precompiled name)
  cmake_parse_arguments(ARG "" "" "HEADERS;OPTIONS" ${ARGN})
  if(NOT KAGEMUSHA_PCH)
    return()
  endif()
  file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/${name}.cc CONTENT "// Carries the precompiled headers.\n")
  add_library(${name} OBJECT ${CMAKE_BINARY_DIR}/${name}.cc)
  target_link_libraries(${name} PUBLIC kagemusha_flags)
  target_precompile_headers(${name} PRIVATE
    <algorithm> <array> <chrono> <coroutine> <cstdint> <expected> <functional> <memory> <optional> <ranges>
    <span> <string> <string_view> <unordered_map> <utility> <variant> <vector> ${ARG_HEADERS})
  target_compile_options(${name} PRIVATE ${ARG_OPTIONS})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # A time in the file would make it another one for ccache each time.
    target_compile_options(${name} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>")
  endif()
endfunction()

# Under the sanitizers, what tests call a million times: optimising it takes less time than running it as it is.
set(KAGEMUSHA_BUSY "")
if(KAGEMUSHA_SANITIZE)
  set(KAGEMUSHA_BUSY -O1)
endif()
# Nothing in app runs for each message or command, and the libraries of headers are dear to optimise.
set(KAGEMUSHA_SELDOM $<$<CONFIG:RelWithDebInfo>:-O1>)

set(core_headers ${CMAKE_SOURCE_DIR}/base/text.h ${CMAKE_SOURCE_DIR}/mapping/store/directory.h)
kagemusha_precompiled(kagemusha_headers)
kagemusha_precompiled(kagemusha_core_headers HEADERS ${core_headers})
kagemusha_precompiled(kagemusha_app_headers HEADERS <fmt/format.h> ${CMAKE_SOURCE_DIR}/app/config.h
  OPTIONS ${KAGEMUSHA_SELDOM})
if(KAGEMUSHA_BUSY)
  kagemusha_precompiled(kagemusha_headers_busy OPTIONS ${KAGEMUSHA_BUSY})
  kagemusha_precompiled(kagemusha_core_headers_busy HEADERS ${core_headers} OPTIONS ${KAGEMUSHA_BUSY})
endif()

# kagemusha_library(NAME [BUSY] SOURCES... DEPENDS target... [PRECOMPILED headers] [OPTIONS option...]): the library of one
# folder. A dependency that is not named here is not on the include path of its headers' libraries and does not link.
function(kagemusha_library name)
  cmake_parse_arguments(ARG "BUSY" "PRECOMPILED" "SOURCES;DEPENDS;OPTIONS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC kagemusha_flags ${ARG_DEPENDS})
  if(NOT ARG_PRECOMPILED)
    set(ARG_PRECOMPILED kagemusha_headers)
  endif()
  if(ARG_BUSY AND KAGEMUSHA_BUSY)
    string(APPEND ARG_PRECOMPILED _busy)
    list(APPEND ARG_OPTIONS ${KAGEMUSHA_BUSY})
  endif()
  target_compile_options(${name} PRIVATE ${ARG_OPTIONS})
  if(KAGEMUSHA_PCH)
    target_precompile_headers(${name} REUSE_FROM ${ARG_PRECOMPILED})
  endif()
endfunction()
