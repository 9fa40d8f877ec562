// without-uring ERRNO PROGRAM ARGUMENT...: runs the program under a seccomp filter that refuses io_uring_setup with that
// errno, as a container's does.
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

// The same number on every architecture.
#define NR_IO_URING_SETUP 425

int main(int count, char** arguments) {
  if (count < 3) return 96;
  const unsigned error = (unsigned)atoi(arguments[1]);
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NR_IO_URING_SETUP, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = {sizeof code / sizeof *code, code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    fprintf(stderr, "without-uring: %s\n", strerror(errno));
    return 97;
  }
  execvp(arguments[2], arguments + 2);
  return 98;
}
