// without-call CALL ERRNO PROGRAM ARGUMENT...: runs the program under a seccomp filter that refuses that system call with that
// errno, as a container's does. 97: no filter can be had.
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
  const char* name;
  unsigned number;
} calls[] = {{"io_uring_setup", SYS_io_uring_setup}, {"pwritev2", SYS_pwritev2}, {"fdatasync", SYS_fdatasync}};

int main(int count, char** arguments) {
  if (count < 4) return 96;
  size_t call = 0;
  while (call < sizeof calls / sizeof *calls && strcmp(calls[call].name, arguments[1]) != 0) call++;
  if (call == sizeof calls / sizeof *calls) return 96;
  const unsigned error = (unsigned)atoi(arguments[2]);
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[call].number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = {sizeof code / sizeof *code, code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    fprintf(stderr, "without-call: %s\n", strerror(errno));
    return 97;
  }
  execvp(arguments[3], arguments + 3);
  return 98;
}
