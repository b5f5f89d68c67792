// What the C library has given out, for leak tests: malloc_info(3) as a string.
#include <malloc.h>
#include <napi.h>

#include <cstdio>
#include <cstdlib>
#include <string>

static Napi::Value MallocInfo(const Napi::CallbackInfo& call) {
  char* text = nullptr;
  size_t length = 0;
  FILE* stream = open_memstream(&text, &length);
  malloc_info(0, stream);
  fclose(stream);
  const std::string xml(text, length);
  free(text);
  return Napi::String::New(call.Env(), xml);
}

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("mallocInfo", Napi::Function::New<MallocInfo>(env));
  return exports;
}

NODE_API_MODULE(heap_info, Init)
