{
  "variables": { "double%": 0 },
  "target_defaults": {
    "sources": [
      "addon.cc",
      "control.cc",
      "environment.cc",
      "kernel_tls.cc",
      "keys.cc",
      "openssl.cc",
      "probe.cc",
      "promotion.cc",
      "sender.cc",
      "session.cc",
      "syscalls.cc",
      "transmit_queue.cc"
    ],
    "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
    "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS", "OPENSSL_API_COMPAT=30000"],
    "cflags": ["-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"],
    "cflags_cc": ["-std=c++17"],
    "ldflags": ["-Wl,-z,nodelete"]
  },
  "targets": [
    { "target_name": "fastify_ktls" }
  ],
  "conditions": [
    # node native/build.js --double=1: also the addon with a stand-in for the
    # kernel, for tests.
    ["double==1", {
      "targets": [
        {
          "target_name": "fastify_ktls_double",
          "sources": ["../test/double/kernel_double.cc", "../test/double/record_sealer.cc"]
        }
      ]
    }]
  ]
}
