# Writes source_hash.cpp: the sources that emitted code depends on, as one hash.
file(GLOB_RECURSE sources RELATIVE ${ROOT} ${ROOT}/ir/*.h ${ROOT}/ir/*.cpp ${ROOT}/compiler/*.h ${ROOT}/compiler/*.cpp
  ${ROOT}/runtime/program.h)
foreach(source ${sources})
  file(SHA256 ${ROOT}/${source} hash)
  string(APPEND all "${source} ${hash}\n")
endforeach()
string(SHA256 hash "${all}")
file(WRITE source_hash.cpp "#include \"compiler/native/cache.h\"\n\nconst char tenon::source_hash[] = \"${hash}\";\n")
