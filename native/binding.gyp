{
  "variables": {
    "tests%": 0,
    "addon_sources": [
      "addon/addon.cc",
      "addon/environment.cc",
      "addon/pinned_memory.cc",
      "addon/session_wrap.cc",
      "addon/transmit_events.cc",
      "addon/transmitter_wrap.cc",
      "connection/promotion.cc",
      "connection/session.cc",
      "kernel/file_identity.cc",
      "kernel/kernel_tls.cc",
      "kernel/page_cache.cc",
      "kernel/probe.cc",
      "kernel/processors.cc",
      "kernel/syscalls.cc",
      "kernel/tcp_socket.cc",
      "kernel/thread.cc",
      "openssl/discarding_bio.cc",
      "openssl/keys.cc",
      "openssl/openssl.cc",
      "records/batch_size.cc",
      "records/kernel_records.cc",
      "records/no_records.cc",
      "records/sealed_records.cc",
      "records/sealer.cc",
      "records/sealing_gate.cc",
      "transmit/blocking_pool.cc",
      "transmit/body_source.cc",
      "transmit/lingering.cc",
      "transmit/sender.cc",
      "transmit/transmit_item.cc",
      "transmit/transmit_queue.cc",
      "transmit/transmit_work.cc"
    ]
  },
  "target_defaults": {
    "include_dirs": [".", "<!(node -p \"require('node-addon-api').include_dir\")"],
    # The swallowed exceptions are those of calls into JavaScript that has ended.
    "defines": ["NAPI_VERSION=8", "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS", "OPENSSL_API_COMPAT=30000"],
    "cflags": ["-Wall", "-Wextra", "-fvisibility=hidden"],
    "cflags_cc": ["-std=c++17"],
    "ldflags": ["-Wl,-z,nodelete"],
    # Not for users: a newer compiler or header of theirs can warn of more.
    "conditions": [["tests!=0", { "cflags": ["-Werror"], "defines": ["FASTIFY_KTLS_TESTS"] }]]
  },
  "targets": [
    { "target_name": "fastify_ktls", "sources": ["<@(addon_sources)"] }
  ],
  "conditions": [
    # node native/build.js --tests=1: also what the tests need; --tests=double:
    # of that the addon with a stand-in for the kernel.
    ["tests!=0", {
      "targets": [
        {
          "target_name": "fastify_ktls_double",
          "sources": ["<@(addon_sources)", "../test/double/faults.cc", "../test/double/kernel_double.cc", "../test/double/tls_socket.cc"]
        }
      ]
    }],
    ["tests==1", {
      "targets": [
        {
          # The addon whose calls of the real kernel can be made to fail.
          "target_name": "fastify_ktls_faults",
          "sources": ["<@(addon_sources)", "../test/double/faults.cc"]
        },
        { "target_name": "heap_info", "sources": ["../test/support/heap_info.cc"] },
        { "target_name": "sockets", "sources": ["../test/support/sockets.cc"] },
        {
          # Parts of the addon without a connection.
          "target_name": "native_parts",
          "sources": ["kernel/processors.cc", "openssl/keys.cc", "openssl/openssl.cc", "records/sealer.cc", "records/sealing_gate.cc", "../test/support/native_parts.cc"]
        }
      ]
    }]
  ]
}
