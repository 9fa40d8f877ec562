// What a build on a newer glibc would otherwise ask of the glibc it runs on, so that the addon loads with every glibc that
// Node.js itself runs on: scripts/prebuild-targets.mjs names that version, and scripts/check-addon.mjs checks it.
// All of it is hidden (-fvisibility=hidden): it serves this addon, what of libstdc++ and libgcc is linked into it, and nobody else.
#if defined(__linux__)
#include <features.h>
#endif

#if defined(__GLIBC__) && defined(__LP64__) && (defined(__x86_64__) || defined(__aarch64__))

#if __GLIBC_PREREQ(2, 32)
// Only ever a hint, and false is always right: atomic operations where plain ones might do.
extern "C" {
char __libc_single_threaded = 0;
}
#endif

#if __GLIBC_PREREQ(2, 33)
// Older ones have these as inline functions over __xstat and its like. The kernel's struct stat is glibc's on both processors.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

extern "C" int fstatat(int directory, const char* path, struct stat* facts, int flags) noexcept {
  return static_cast<int>(syscall(SYS_newfstatat, directory, path, facts, flags));
}

extern "C" int stat(const char* path, struct stat* facts) noexcept { return fstatat(AT_FDCWD, path, facts, 0); }

extern "C" int fstat(int fd, struct stat* facts) noexcept { return static_cast<int>(syscall(SYS_fstat, fd, facts)); }
#endif

#if __GLIBC_PREREQ(2, 34)
// The two moved from libpthread to libc, and got a new version there. libgcc's unwinder refers to them, weakly.
#include <pthread.h>

#if defined(__x86_64__)
__asm__(".symver first_pthread_once, pthread_once@GLIBC_2.2.5");
__asm__(".symver first_pthread_key_create, __pthread_key_create@GLIBC_2.2.5");
#else
__asm__(".symver first_pthread_once, pthread_once@GLIBC_2.17");
__asm__(".symver first_pthread_key_create, __pthread_key_create@GLIBC_2.17");
#endif
extern "C" int first_pthread_once(pthread_once_t* once, void (*routine)());
extern "C" int first_pthread_key_create(pthread_key_t* key, void (*destroy)(void*));

extern "C" int pthread_once(pthread_once_t* once, void (*routine)()) { return first_pthread_once(once, routine); }

extern "C" int __pthread_key_create(pthread_key_t* key, void (*destroy)(void*)) {
  return first_pthread_key_create(key, destroy);
}
#endif

#if __GLIBC_PREREQ(2, 35)
// How libgcc's unwinder finds the tables of the function at an address; the way it did before there was a function for it.
#include <dlfcn.h>
#include <link.h>

#include <cstdint>

namespace {

struct Search {
  uintptr_t address;
  dl_find_object* found;
};

int Visit(dl_phdr_info* object, size_t, void* data) {
  auto* search = static_cast<Search*>(data);
  const ElfW(Phdr)* tables = nullptr;
  const ElfW(Phdr)* segment = nullptr;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = object->dlpi_phdr[i];
    if (header.p_type == PT_GNU_EH_FRAME) tables = &header;
    if (header.p_type == PT_LOAD && search->address - (object->dlpi_addr + header.p_vaddr) < header.p_memsz) {
      segment = &header;
    }
  }
  if (segment == nullptr) return 0;
  // Found, but nothing to unwind with: as if not found.
  if (tables == nullptr) return 2;
  const auto pointer = [&](uintptr_t address) { return reinterpret_cast<void*>(object->dlpi_addr + address); };
  *search->found = {};
  search->found->dlfo_map_start = pointer(segment->p_vaddr);
  search->found->dlfo_map_end = pointer(segment->p_vaddr + segment->p_memsz);
  search->found->dlfo_eh_frame = pointer(tables->p_vaddr);
  return 1;
}

}  // namespace

extern "C" int _dl_find_object(void* address, dl_find_object* result) noexcept {
  Search search{reinterpret_cast<uintptr_t>(address), result};
  return dl_iterate_phdr(Visit, &search) == 1 ? 0 : -1;
}
#endif

#endif
