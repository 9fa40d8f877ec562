// The few declarations of libuv that watch a descriptor, and make a thread (a newer glibc's own would not load with an older
// one). The headers that the addons are built with (node-api-headers) have no uv.h; these are of libuv 1.x, whose binary
// interface does not change, and Node exports the functions.
#pragma once

#include <pthread.h>

#include <cstddef>

extern "C" {

struct uv_loop_s;
struct uv_handle_s;
struct uv_poll_s;

size_t uv_handle_size(int type);
void* uv_handle_get_data(const uv_handle_s* handle);
void uv_handle_set_data(uv_handle_s* handle, void* data);
void uv_ref(uv_handle_s* handle);
void uv_unref(uv_handle_s* handle);
void uv_close(uv_handle_s* handle, void (*closed)(uv_handle_s*));
int uv_poll_init(uv_loop_s* loop, uv_poll_s* handle, int fd);
int uv_poll_start(uv_poll_s* handle, int events, void (*ready)(uv_poll_s*, int status, int events));

using uv_thread_t = pthread_t;
int uv_thread_create(uv_thread_t* thread, void (*entry)(void*), void* data);
int uv_thread_join(uv_thread_t* thread);

}  // extern "C"

namespace stonewal {

constexpr int kUvPoll = 8;      // UV_POLL
constexpr int kUvReadable = 1;  // UV_READABLE

}  // namespace stonewal
