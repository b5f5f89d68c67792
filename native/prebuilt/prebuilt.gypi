{
  # One binary for glibc 2.28 and later (Node 20's own need) and for musl. Of
  # what it takes from libc, all has the same name and layout in both; musl does
  # not look at versions, and answers to the name libc.so.6. So it must not name
  # other libraries of glibc's, as it would the loader for thread_local
  # variables: -nodefaultlibs. libstdc++ is the process's own: Node needs it.
  "target_defaults": {
    # It gives functions names that musl does not have; off_t has 64 bits anyway.
    "defines!": ["_FILE_OFFSET_BITS=64"],
    # std::make_shared asks for GLIBCXX_3.4.26 without it.
    "cflags_cc!": ["-fno-rtti"],
    "cflags": ["-Werror", "-include", "<(module_root_dir)/old_libraries.h"],
    "ldflags": ["-s", "-nodefaultlibs"],
    "libraries": ["-lstdc++", "-lgcc", "-l:libc.so.6"],
    "sources": ["old_libraries.cc"]
  }
}
